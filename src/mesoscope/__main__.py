"""``python -m mesoscope``, and what torchrun starts."""

from mesoscope.cli.main import main

if __name__ == "__main__":
    main()
