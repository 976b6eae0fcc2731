"""What the way to the server says about why runs do not arrive; the first step that fails is the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backhaul.doctor.finding import Finding
from backhaul.doctor.way import Step, Way

# A signed upload address is refused when the clocks differ by more (S3: 15 minutes).
_MOST_SKEW = 300.0


def standing_of(steps: Sequence[Step]) -> str:
    """The way in a few words; empty when it was not taken."""
    failed = next((step.name for step in steps if step.error is not None), None)
    if not steps:
        return ""
    if failed is None:
        return "server reachable, key valid"
    if failed == "API key":
        return "server reachable, key not accepted"
    after_the_key = any(step.name == "API key" and step.error is None for step in steps)
    return (
        f"server reachable, key valid, {failed} failed" if after_the_key else f"server not reachable: {failed} failed"
    )


def findings_of(way: Way, steps: Sequence[Step]) -> Iterator[Finding]:
    """The finding of the step that failed, under the code of its error; then what is odd about those that did not."""
    for step in steps:
        if step.error is not None:
            evidence = f"{step.name} on the way to {way.base_url}: {step.detail}"
            yield Finding(step.error.code, step.error.message, evidence, step.error.next)
    yield from _interception(way)
    if abs(way.skew) > _MOST_SKEW:
        message = "This machine's clock and the server's differ by so much that upload addresses may be refused."
        evidence = f"the clock of {way.base_url} is {way.skew:+.0f} s off this machine's"
        yield Finding("clock-skew", message, evidence, "timedatectl set-ntp true")
    if way.limits.get("ratelimit-remaining") == "0":
        message = "The server takes no more requests of this key for the moment."
        evidence = ", ".join(f"{name}: {value}" for name, value in sorted(way.limits.items()))
        yield Finding("rate-limited", message, evidence, "wait, then run the same command again")


def _interception(way: Way) -> Iterator[Finding]:
    """W&B's own servers have certificates of public authorities: any other signer stands between, and reads along."""
    if way.signer is None or way.signer.is_public or not way.is_of_wandb:
        return
    message = f"TLS is opened on the way: {way.signer.name} signed the certificate, and not one of W&B's authorities."
    evidence = f"TLS with {way.base_url}: signed by {way.signer.name}, which is accepted here"
    remedy = "nothing, if your site does so on purpose; else ask who runs that proxy"
    yield Finding("tls-intercepted", message, evidence, remedy)
