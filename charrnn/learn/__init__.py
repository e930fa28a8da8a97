"""A guided lesson: the computation of each chapter, run live on small texts.

    chapters/*.md    the words, with {{ places }} for numbers and pictures
    chapter.py       reads them             small.py       the text, and a training loop in ten lines
    one_hot.py … counter.py                 one computation per chapter

Nothing here prints; `charrnn.ui` draws the pictures.
"""
