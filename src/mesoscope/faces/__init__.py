"""Where the faces are, and the one way they are cut out."""
