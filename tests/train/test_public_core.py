"""What the documents show of the core from Python runs as it stands."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_of_the_core_runs(capsys):
    import jax

    # a user's own JAX broadcasts; the suite's is stricter
    with jax.numpy_rank_promotion("allow"):
        page = (DOCS / "hsnn.md").read_text(encoding="utf-8")
        (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        exec(compile(code, "docs/hsnn.md", "exec"), {})
    rate, *shape = re.findall(r"[0-9.]+", capsys.readouterr().out)
    assert 0.01 < float(rate) < 0.9
    assert [int(n) for n in shape] == [8, 32]
