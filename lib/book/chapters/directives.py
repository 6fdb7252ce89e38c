"""Figures in the chapters, by two directives of a Sphinx extension that ``_config.yml`` names.

``{drawn} gan`` draws, while the book is built, what the function of that name in DRAWN returns, and
``{from-notebook} figure-3`` shows a notebook's figure once more, by its name.
"""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from lib.book.chapters.canvas import inline
from lib.book.chapters.diagrams import gan, pairs, sentences
from lib.book.chapters.networks import conditional_networks, unconditional_networks
from lib.book.chapters.objectives import clamp_and_penalty, distances, penalties, saturation
from lib.book.chapters.way import caption_to_pose

NETWORKS = unconditional_networks, conditional_networks
OBJECTIVES = saturation, distances, clamp_and_penalty, penalties
OTHERS = sentences, gan, pairs, caption_to_pose
DRAWN = {each.__name__: each for each in (*OTHERS, *NETWORKS, *OBJECTIVES)}


class Drawn(SphinxDirective):
    """A drawing as part of the page, where ``{ref}`` finds it as ``drawn-gan``. ``alt`` says in
    words what it shows; the content is its caption."""

    required_arguments, has_content = 1, True
    option_spec = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        draw = DRAWN.get(self.arguments[0])
        if not (draw and self.options.get("alt") and self.content):
            raise self.error(f"drawn needs one of {', '.join(DRAWN)}, an alt and a caption.")
        svg = nodes.raw("", inline(draw(), self.options["alt"]), format="html")
        text, messages = self.parse_inline(" ".join(self.content), lineno=self.lineno)
        figure = nodes.figure("", svg, nodes.caption("", "", *text))
        self.set_source_info(figure)
        self.options["name"] = f"drawn-{self.arguments[0]}"
        self.add_name(figure)
        return [figure, *messages]


class place(nodes.Element):
    """Where the figure of a notebook will be; ``wanted`` is its name."""


class FromNotebook(SphinxDirective):
    """A figure of an executed notebook, by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        here = place(wanted=self.arguments[0])
        self.set_source_info(here)
        return [here]


class Fetch(SphinxPostTransform):
    """Puts copies of notebooks' figures into their places, before what is in them is resolved."""

    default_priority = 2

    def run(self, **_) -> None:
        for here in list(self.document.findall(place)):
            figure = self.copied(here["wanted"])
            if figure is None:
                message = f"from-notebook: no notebook has a figure {here['wanted']}"
                logging.getLogger(__name__).warning(message, location=here)
                here.parent.remove(here)
            else:
                here.replace_self(figure)

    def copied(self, name: str) -> nodes.figure | None:
        """A notebook's figure without its name, which stays there; its caption leads there."""
        document, identity = self.env.domains["std"].anonlabels.get(name, ("", ""))
        found = self.env.get_doctree(document).findall(nodes.figure) if document else ()
        figure = next((each.deepcopy() for each in found if identity in each["ids"]), None)
        if figure is not None:
            figure["ids"], figure["names"] = [f"{identity}-again"], []
            for reference in figure.findall(pending_xref):
                reference["refdoc"] = self.env.docname
            number = document.rsplit("/", 1)[-1].split("_")[0]
            there = self.app.builder.get_relative_uri(self.env.docname, document)
            link = nodes.reference("", f"Notebook {number}", refuri=f"{there}#{identity}")
            figure.next_node(nodes.caption).extend([nodes.Text(" ("), link, nodes.Text(")")])
        return figure


def setup(app):
    """Connects both; Sphinx calls it."""
    app.add_node(place)
    app.add_directive("drawn", Drawn)
    app.add_directive("from-notebook", FromNotebook)
    app.add_post_transform(Fetch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
