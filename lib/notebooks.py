"""Which notebook trains what and reads which runs: the graph of the book, written once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notebook:
    """What a notebook makes and needs; it is executed again when what it reads has changed."""

    trains: str = ""  # the experiment whose run it makes
    reads: tuple[str, ...] = ()  # other experiments whose runs it reads
    files: tuple[str, ...] = ()  # patterns of other files below data/ that it reads
    captions: bool = True  # whether it needs data with captions


GRAPH = {
    "01_data_preparation": Notebook(captions=False),
    "02_gan": Notebook("gan", captions=False),
    "03_wgan": Notebook("wgan", captions=False),
    "04_wgan_gp": Notebook("wgan_gp", reads=("wgan",), captions=False),
    "05_text_encoder": Notebook(),
    "06_conditional_full": Notebook("conditional_full", reads=("wgan_gp",)),
    "07_reduced": Notebook("reduced", captions=False),
    "08_conditional_reduced": Notebook("conditional_reduced", reads=("reduced",)),
    "09_conditional_random": Notebook("conditional_random", reads=("conditional_reduced",)),
    "10_interpolations": Notebook(reads=("conditional_reduced",)),
    "11_measures": Notebook(reads=("conditional_reduced",)),
    "12_questionnaire": Notebook(
        reads=("conditional_reduced",),
        files=("questionnaire/key.json", "questionnaire/answers/*.json"),
    ),
}
MODELS = tuple(notebook.trains for notebook in GRAPH.values() if notebook.trains)
GRAPH |= {
    "13_conditional_gan": Notebook("conditional_gan"),
    "14_claims": Notebook(reads=MODELS),
    "21_evaluation": Notebook(reads=MODELS, files=("sweeps/*/table.csv",)),
    "22_published": Notebook(
        reads=(*MODELS, "conditional_gan"),
        files=("published/*/evaluation.json", "published/options.csv"),
    ),
    "23_try_it": Notebook(
        files=("published/conditional_reduced-*/generator.safetensors", "published/words/*"),
        captions=False,
    ),
}

NOTEBOOKS = {notebook.trains: stem for stem, notebook in GRAPH.items() if notebook.trains}
