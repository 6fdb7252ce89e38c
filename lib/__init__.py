"""The thesis as a library. Its rooms, in the order in which a pose passes through them:

- :mod:`lib.losses`: equations 1 to 9 and Algorithms 1 to 5. Begin reading here.
- :mod:`lib.data`: COCO's files and captions to heatmaps and encodings (3.1, 3.2, 4.2).
- :mod:`lib.models`: the networks of Tables 1 to 4, their weights, poses from them (3.3).
- :mod:`lib.training`: the one loop for all five algorithms, its minibatches and run folders (4).
- :mod:`lib.evaluation`: the measures of 4.4.2, what has become usual since, and every verdict.
- :mod:`lib.beyond`: what the thesis does not have; each option is off unless a profile asks for it.
- :mod:`lib.pose`: a sentence in, a pose out, in the formats of other programs; needs no torch.
- :mod:`lib.figures`, :mod:`lib.questionnaire`, :mod:`lib.book`: pictures, 4.4.3, and the pages.

:mod:`lib.study` ties them together for a notebook; ``python -m lib`` does for a command line.
"""
