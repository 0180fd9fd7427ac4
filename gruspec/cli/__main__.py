"""``python -m gruspec.cli``: the command line where no script is installed."""

from gruspec.cli.group import main

if __name__ == "__main__":
    main(prog_name="gruspec")
