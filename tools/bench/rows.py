"""The rows of the comparison: what runs on each side, which figures are compared, and what must be reached."""
from dataclasses import dataclass, field

LAYERS_CONFIG = {name: f"configs/bench/{name}.yaml" for name in ("dense", "window", "longformer", "bigbird", "transformer-xl", "reformer")}


@dataclass
class Must:
    """`figure` of ours over that of the peer (or over `of`, another of our rows) compared with a bound."""
    name: str
    figure: str      # tokens_per_second, peak_gib, seconds, forward_share, backward_share
    bound: float
    at_least: bool = True
    against: str = "peer"  # peer | itself (the bound is absolute) | the name of another row of ours


@dataclass
class Row:
    name: str
    ours: list             # arguments of `longhaul`, or of "eval" below
    peer: list = field(default_factory=list)  # script and arguments; empty: no peer runs
    musts: list = field(default_factory=list)
    kind: str = "step"     # step | attention | generate | eval
    long: bool = False     # a step takes more than 10 s: fewer of them


def step(name, config, n, dtype, musts, peer_attention=None, peer_model=None, extra=(), long=False):
    batch = max(1, 4096 // n)
    ours = ["bench", "step", LAYERS_CONFIG[config], "--set", f"data.sequence_length={n}", "--set", f"train.batch_size={batch}",
            "--set", f"train.micro_batch={batch}", "--set", f"run.precision={dtype}"]
    for item in extra:
        ours += ["--set", item]
    peer = []
    if peer_attention:
        peer = ["pytorch_gpt.py", "--n", str(n), "--dtype", dtype, "--attention", peer_attention]
    if peer_model == "transformer-xl":
        peer = ["hf_transfo_xl.py", "--n", str(n), "--memory", "512", "--dtype", dtype]
    elif peer_model:
        peer = ["hf_models.py", "--model", peer_model, "--n", str(n), "--dtype", dtype]
    return Row(name, ours, peer, musts, "step", long)


def attention(dtype, ratio, forward, backward):
    return Row(f"attention-4k-{dtype}", ["bench", "attention", "--pattern", "causal", "--length", "4096", "--dtype", dtype],
               ["attention_only.py", "--kind", "sdpa", "--n", "4096", "--dtype", dtype],
               [Must("forward + backward, times faster", "speed", ratio),
                Must("forward, share of the register-loop peak", "forward_share", forward, against="itself"),
                Must("backward, share of the register-loop peak", "backward_share", backward, against="itself")],
               "attention")


def rows():
    faster = lambda bound: Must("tokens/s", "tokens_per_second", bound)
    memory = Must("peak memory", "peak_gib", 0.65, at_least=False)
    flat = lambda other: Must("tokens/s, of those at 4K", "tokens_per_second", 0.85, against=other)
    table = [
        step("dense-1k-f32", "dense", 1024, "f32", [faster(1.25)], "sdpa"),
        step("dense-4k-f32", "dense", 4096, "f32", [faster(1.3), memory], "sdpa"),
        step("dense-1k-bf16", "dense", 1024, "bf16", [faster(1.3)], "sdpa"),
        step("dense-4k-bf16", "dense", 4096, "bf16", [faster(1.5), memory], "sdpa"),
    ]
    saving = ("memory.recompute=layer", "memory.chunk_feedforward=4096")
    for dtype, limit in (("f32", 5.0), ("bf16", 3.0)):
        base = f"window-4k-{dtype}"
        table += [
            step(base, "window", 4096, dtype, []),
            step(f"window-16k-{dtype}", "window", 16384, dtype, [faster(1.4), flat(base)], "window", long=True),
            step(f"window-64k-{dtype}", "window", 65536, dtype, [flat(base)], long=True),
            step(f"window-64k-recompute-{dtype}", "window", 65536, dtype,
                 [Must("peak memory, GiB", "peak_gib", limit, at_least=False, against="itself")], extra=saving, long=True),
        ]
    less = Must("peak memory", "peak_gib", 0.4, at_least=False)
    table += [
        step("longformer-4k-f32", "longformer", 4096, "f32", [faster(3.0), less], peer_model="longformer"),
        step("longformer-16k-f32", "longformer", 16384, "f32", [faster(3.0), less], peer_model="longformer", long=True),
        step("bigbird-4k-f32", "bigbird", 4096, "f32", [faster(2.0), less], peer_model="bigbird"),
    ]
    for family in ("longformer", "bigbird"):
        table.append(step(f"{family}-64k-recompute-f32", family, 65536, "f32",
                          [Must("peak memory, GiB", "peak_gib", 8.0, at_least=False, against="itself")], extra=saving, long=True))
    hashed = lambda bound: [faster(bound), Must("peak memory", "peak_gib", 0.6, at_least=False)]
    axes = lambda rows, columns: (f"model.axial_shape=[{rows},{columns}]",)
    table += [
        step("reformer-4k-f32", "reformer", 4096, "f32", hashed(1.4), peer_model="reformer"),
        step("reformer-4k-bf16", "reformer", 4096, "bf16", hashed(1.9), peer_model="reformer"),
        step("reformer-16k-f32", "reformer", 16384, "f32", hashed(1.4), peer_model="reformer", extra=axes(128, 128), long=True),
        step("reformer-64k-bf16", "reformer", 65536, "bf16", [Must("tokens/s, of those at 4K", "tokens_per_second", 0.8, against="reformer-4k-bf16")],
             extra=axes(256, 256), long=True),
        step("reformer-64k-12-layers-bf16", "reformer", 65536, "bf16",
             [Must("peak memory, GiB", "peak_gib", 4.0, at_least=False, against="itself")],
             extra=axes(256, 256) + ("model.layers=12", "memory.chunk_feedforward=4096"), long=True),
    ]
    # Its peer needs transformers 4.35.2: run these rows alone, with that interpreter as --python. In bf16 it fails.
    recurrent = "transformer-xl-512-f32"
    table += [
        step(recurrent, "transformer-xl", 512, "f32",
             [faster(3.0), Must("peak memory", "peak_gib", 0.5, at_least=False)], peer_model="transformer-xl"),
        step("transformer-xl-512-bf16", "transformer-xl", 512, "bf16",
             [Must("tokens/s, of those in f32", "tokens_per_second", 1.5, against=recurrent)]),
    ]
    table += [attention("f32", 1.7, 0.75, 0.85), attention("bf16", 2.5, 0.60, 0.70)]
    for n, bound in ((1024, 2.0), (8192, 1.6)):
        table.append(Row(f"decode-{n // 1024}k-f32",
                         ["bench", "generate", LAYERS_CONFIG["dense"], "--set", f"data.sequence_length={n + 256}", "--context",
                          str(n), "--new", "128"],
                         ["decode_eval.py", "--mode", "decode", "--n", str(n), "--new", "128"], [faster(bound)], "generate"))
    for dtype, bound in (("f32", 1.2), ("bf16", 1.3)):
        table.append(Row(f"eval-4k-{dtype}", [dtype], ["decode_eval.py", "--mode", "eval", "--n", "4096", "--dtype", dtype],
                         [faster(bound)], "eval"))
    return table
