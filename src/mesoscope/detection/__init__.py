"""Reading, finding, cropping, scoring, deciding: from a source to its verdict."""
