"""Reading puzzles from files, in stages that all tasks share.

bytes --containers.py--> lines --documents.py--> values --reader.py--> texts and matrices of cells --task--> Puzzle
                              \\--table.py----> fields --/
                               \\--layout.py--> rows of cells --/
"""
