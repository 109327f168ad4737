"""``python -m nutgraf``, which torchrun and others start by the module's name."""

from nutgraf.cli import main

if __name__ == "__main__":
    main()
