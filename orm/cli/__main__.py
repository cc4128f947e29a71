"""`python -m orm.cli`."""

from orm.cli import main

if __name__ == "__main__":
    main()
