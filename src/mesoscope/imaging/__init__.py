"""Operations on pixels, each defined once."""
