"""What would let a model cheat on a data set, and what would make its score a lie."""
