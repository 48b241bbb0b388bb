"""The judges of serving, on made-up runs."""

from dataclasses import asdict, replace

from lib.delta_come import judges_serving as judges
from lib.delta_come.claims import CLAIMS
from lib.delta_come.metrics import ServeManyTenants, ServeManyTenantsOnGpu
from lib.ledger import Status, judge

BY_NUMBER = {claim.id.removeprefix("delta_come."): claim for claim in CLAIMS}
GOOD = {"own": 12.0, "base": 15.0}
RUN = ServeManyTenants(
    model="SmolLM2",
    model_parameters=100,
    pair="a pair",
    task="arithmetic",
    regime="small",
    seed=0,
    device="cpu",
    tenants=50,
    real_tenants=1,
    model_bytes=2e8,
    projection_saving=14.0,
    embedding_share=0.2,
    file_bytes={"own": 1e7, "base": 1e7},
    disk_saving=GOOD,
    tenant_bytes={"own": 1e7, "base": 1e7},
    memory_saving=GOOD,
    forecast_bytes=5e8,
    added_bytes=5.1e8,
    llama_gigabytes={"own": 70.0, "base": 57.0},
    llama_disk_saving=GOOD,
    largest_error=1e-5,
    tokens_per_second={},
    kernel_speedup={"576×576, 1 × 1": 4.0, "576×576, 4 × 1": 3.5},
    gpu_speedup={},
    gpu_step={},
)
ON_GPU = ServeManyTenantsOnGpu(**asdict(RUN) | {"device": "cuda", "gpu_speedup": {"4096×4096, 1 × 1": 5.0}})


def verdict(number, *runs, **changes):
    return judge(BY_NUMBER[number], runs or [replace(RUN, seed=seed, **changes) for seed in range(3)])


def test_ten_times_less_of_everything_holds():
    assert verdict("C14").status is Status.HOLDS


def test_less_than_ten_times_with_own_embeddings_is_a_direction_on_disk_and_in_memory():
    for field in ("disk_saving", "memory_saving", "llama_disk_saving"):
        assert verdict("C14", **{field: GOOD | {"own": 3.7}}).status is Status.HOLDS_IN_DIRECTION


def test_files_larger_than_the_model_fail():
    assert verdict("C14", disk_saving=GOOD | {"own": 0.9}).status is Status.FAILS


def test_one_run_that_saves_less_decides():
    assert verdict("C14", RUN, replace(RUN, disk_saving={"own": 12.0, "base": 9.0})).status is Status.HOLDS_IN_DIRECTION


def test_memory_off_the_forecast_by_more_than_5_percent_fails_either_way():
    for added in (4.7e8, 5.3e8):
        assert verdict("C14", RUN, replace(RUN, added_bytes=added)).status is not Status.HOLDS
        assert verdict("C14", replace(RUN, added_bytes=added)).status is Status.FAILS


def test_memory_too_small_to_be_seen_in_a_process_is_not_judged():
    found = verdict("C14", replace(RUN, forecast_bytes=1e6, added_bytes=4e6))
    assert found.status is Status.HOLDS_IN_DIRECTION
    assert "growth of the process over the forecast is not measured" in found.reason


def test_fewer_than_fifty_tenants_are_no_measurement_of_memory():
    assert judges.saves_memory([replace(RUN, tenants=8)]).status is Status.NOT_MEASURED


def test_fifty_models_that_do_not_fit_one_card_are_a_direction_and_no_saving_fails():
    assert verdict("C14", llama_gigabytes={"own": 83.5, "base": 57.0}).status is Status.HOLDS_IN_DIRECTION
    assert verdict("C14", llama_gigabytes={"own": 700.0, "base": 57.0}).status is Status.FAILS


def test_what_saves_memory_was_counted_and_what_the_process_grew_by_was_measured():
    reason = verdict("C14").reason
    assert "counted from layouts with a base in 16 bits" in reason
    assert "measured in one process" in reason


def test_three_times_on_a_gpu_holds():
    assert verdict("C15", ON_GPU).status is Status.HOLDS


def test_a_cpu_is_no_measurement_of_the_triton_kernel():
    found = verdict("C15", RUN)
    assert found.status is Status.NOT_MEASURED
    assert "on a GPU" in found.reason


def test_the_slowest_case_on_a_gpu_decides_and_a_slow_cpu_does_not():
    assert verdict("C15", replace(ON_GPU, gpu_speedup={"a": 9.0, "b": 2.0})).status is Status.HOLDS_IN_DIRECTION
    assert verdict("C15", replace(ON_GPU, gpu_speedup={"a": 9.0, "b": 0.8})).status is Status.FAILS
    assert verdict("C15", replace(ON_GPU, kernel_speedup={"a": 0.5})).status is Status.HOLDS


def test_a_case_in_which_the_kernels_have_no_time_fails_by_itself():
    lost = replace(ON_GPU, gpu_speedup={"a": 9.0, "4096×4096, 50 × 8": 0.0})
    found = verdict("C15", *[replace(ON_GPU, seed=seed, gpu_speedup={"a": 900.0}) for seed in range(3)], lost)
    assert found.status is Status.FAILS
    assert "4096×4096, 50 × 8" in found.reason


def test_a_run_on_a_gpu_without_any_time_fails():
    assert verdict("C15", replace(ON_GPU, gpu_speedup={})).status is Status.FAILS


def test_a_fast_product_that_is_wrong_fails():
    assert verdict("C15", replace(ON_GPU, largest_error=0.1)).status is Status.FAILS


def test_one_run_on_a_gpu_decides_beside_three_seeds_on_a_cpu():
    seeds = [replace(RUN, seed=seed) for seed in range(3)]
    assert verdict("C15", *seeds, ON_GPU).status is Status.HOLDS
    assert verdict("C14", *seeds, replace(ON_GPU, disk_saving=GOOD | {"own": 0.9})).status is Status.HOLDS
