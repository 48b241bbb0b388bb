import re

import pytest

from lib.batch.report.formulas import FormulaError, take_out
from lib.batch.report.mathml import mathml


def shown(markdown):
    text, formulas = take_out(markdown)
    return formulas.put_back(text), formulas.faults


@pytest.mark.parametrize(
    "latex",
    [
        r"Z = \mathrm{LayerNorm}\left[\left((X \odot g) W_{\pm1}^\top\right) \odot h\right]",
        r"\lVert W - \hat{W} \rVert_F^2 \le \lVert W - a b^\top \rVert_F^2",
        r"W \in \mathbb{R}^{m \times n}, \quad \tilde a \tilde b^\top",
        r"\operatorname{Sign}(W) \odot |W|",
        r"\operatorname*{arg\,min}_{a, b} \sum\limits_{i=1}^{m} \sum_{j=1}^n (|w_{ij}| - a_i b_j)^2",
        r"\begin{aligned} a &= b \\ &= c \end{aligned}",
        r"\begin{cases} 1 & x \ge 0 \\ -1 & \text{otherwise} \end{cases}",
        r"\mathcal{L} = \mathcal{L}_\text{CE} + \alpha \mathcal{L}_\text{MSE}",
        r"\frac{mn + 16(m+n)}{mn + m + n} \approx 1.0073",
        r"\arg\max_k \log p_k, \; \boldsymbol{\sigma}, \mathbf{1}\{x\}, \mathbb{1}",
        r"\Bigl\{ \lfloor x \rceil \Bigr\} \not= \|x\|",
        r"\underbrace{U \Sigma V^\top}_{\text{SVD}} \to \sigma_1, \dots, \sigma_r",
    ],
)
def test_the_papers_formulas_become_mathml_with_nothing_of_latex_left(latex):
    for display in (False, True):
        result = mathml(latex, display)
        assert result.startswith("<math")
        assert not re.search(r"[\\$]|mathvariant=\"(?!normal)", result)


@pytest.mark.parametrize(
    "latex", [r"\foo x", r"x_", r"\frac{a}", r"\left( a", r"a & b", r"\text{a $x$}", r"\cancel{x}", ""]
)
def test_what_cannot_be_drawn_is_refused_with_the_formula_named(latex):
    with pytest.raises(FormulaError, match="formula") as caught:
        mathml(latex)
    assert repr(latex) in str(caught.value)


def test_a_tag_stands_beside_the_formula():
    assert mathml(r"a = b \tag{3}", display=True).endswith('<span class="tag">(3)</span>')


def test_aligned_lines_share_a_table():
    assert mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", display=True).count("<mtr>") == 2


def test_limits_stand_below_an_operator_on_a_line_of_its_own_only():
    assert "<munder>" in mathml(r"\max_x f", display=True)
    assert "<msub>" in mathml(r"\max_x f")


def test_a_pair_of_bars_opens_and_closes():
    assert re.findall(r'form="(\w+)"', mathml(r"\sigma_1(|W|)")) == ["prefix", "postfix"]


def test_bold_and_blackboard_letters_have_their_own_code_points():
    assert [letter in mathml(r"\boldsymbol{\sigma} \mathbb{1} \mathscr{L}") for letter in "𝝈𝟙ℒ"] == [True] * 3


def test_an_operators_name_is_one_upright_word():
    assert "<mi>Sign</mi>" in mathml(r"\operatorname{Sign}(W)")
    assert "<mi>rank</mi>" in mathml(r"\mathrm{rank}(W)")


@pytest.mark.parametrize(
    ("markdown", "display"),
    [
        ("so $a_1 b_1$ is", False),
        (r"so \(a_1\) is", False),
        (r"so \\(a_1\\) is", False),
        ("so\n$$\na_1\n$$\nis", True),
        (r"\[ a_1 \]", True),
        (r"\begin{aligned} a_1 &= b \end{aligned}", True),
        ("so $ a_1 $ is", False),
    ],
)
def test_every_delimiter_is_known(markdown, display):
    html, faults = shown(markdown)
    assert (not faults, html.count("<math"), ('class="equation"' in html)) == (True, 1, display)


@pytest.mark.parametrize(
    "markdown",
    [
        "`$a$`",
        "``a ` $b$``",
        "```python\nx = '$a$'\n```",
        "~~~\n$a$\n~~~",
        "from $5 to $10",
        "$5-$10",
        r"\$a\$",
        "100 $ or 200 $",
    ],
)
def test_code_and_money_hold_no_formulas(markdown):
    assert shown(markdown) == (markdown, [])


def test_a_formula_after_a_code_span_with_a_dollar_is_found():
    html, _ = shown("`$HOME` is $x$")
    assert html.startswith("`$HOME` is <span")


def test_bars_of_a_formula_do_not_reach_the_markdown():
    text, formulas = take_out("| $|W|$ | b |")
    assert text.count("|") == 3
    assert formulas.put_back_source(text) == "| $|W|$ | b |"


def test_a_faulty_formula_stays_readable_and_is_reported():
    html, faults = shown(r"so $\foo < 1$ is")
    assert r"$\foo &lt; 1$</code>" in html
    assert len(faults) == 1
