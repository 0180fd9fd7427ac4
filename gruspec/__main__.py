"""``python -m gruspec``: the command line where no script is installed."""

from gruspec.cli import main

if __name__ == "__main__":
    main(prog_name="gruspec")
