"""Where networks are trained; the only room in which torch stands."""
