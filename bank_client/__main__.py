"""`python -m bank_client …` is `xinqiao …`, for where scripts are not on the search path."""

from models.cli import main

if __name__ == "__main__":
    main()
