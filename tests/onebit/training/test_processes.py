"""Several processes, as `accelerate launch` or torchrun start them."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os
import sys
from pathlib import Path
import torch
from lib.models.tiny import TinyRecipe, build_tiny
from lib.onebit.training import DistillationRecipe, OneBitForm, distil, student_of

teacher = build_tiny(TinyRecipe(width=32, blocks=1, inner=40, steps=1, vocabulary=64)).eval()
student = student_of(teacher, OneBitForm().make_layer)
blocks = torch.randint(0, 64, (32, 8), generator=torch.Generator().manual_seed(0))
result = distil(student, teacher, blocks, DistillationRecipe(steps=3, batch=2, save_every=2), Path(sys.argv[1]))
weights = [parameter.double().sum().item() for parameter in student.parameters()]
name = f"result-{os.environ['RANK']}"  # a file each: what two processes print at once may mix
Path(sys.argv[1]).with_name(name).write_text(f"{result.tokens} {sum(weights)!r}")
"""


def test_two_processes_share_a_batch_and_end_with_the_same_student(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            "2",
            script,
            tmp_path / "out",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "SIX_PAPERS_QUIET": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = [(tmp_path / f"result-{rank}").read_text() for rank in range(2)]
    assert results[0] == results[1]
    assert results[0].split()[0] == str(3 * 2 * 2 * 8)
    assert (tmp_path / "out" / "checkpoint-3" / "trainer_state.json").exists()
