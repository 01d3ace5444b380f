"""python -m trmsolve"""

from trmsolve.cli import main

if __name__ == "__main__":
    main()
