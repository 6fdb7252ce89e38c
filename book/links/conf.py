"""Sphinx's settings for `make links`: README, pages and notebooks as they are stored.

Nothing is executed and no page is written: only addresses are of interest here, and roles that
need the whole book need not resolve.
"""

extensions = ["myst_nb", "sphinxcontrib.bibtex"]
root_doc = "README"
include_patterns = ["README.md", "data/README.md", "book/*.md", "notebooks/*.ipynb"]
nb_execution_mode = "off"
bibtex_bibfiles = ["../references.bib"]  # from here
linkcheck_timeout = 20  # seconds
linkcheck_retries = 2
linkcheck_report_timeouts_as_broken = True
