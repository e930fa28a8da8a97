"""A guided lesson: what each chapter works out, live, on a text of four lines.

    chapters/*.md    the words, with {{ places }} for numbers and pictures
    chapter.py       reads them             small.py       the text, and a training loop in ten lines
    one_hot.py … counter.py                 one computation a chapter

Nothing here prints: the pictures are drawn by `charrnn.ui`.
"""
