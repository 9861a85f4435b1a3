"""The request that all loads send: what a browser's call through a mesh looks like.

Twelve headers, of which three (and the path) differ from request to request, so that nobody gains
from remembering the last one.
"""

from __future__ import annotations

from collections.abc import Callable

HOST = "inv.default.svc.cluster.local"
PATHS = 1000

# %d, %x: the request's number. The rest stays the same.
HEADERS: tuple[tuple[str, str], ...] = (
    ("Host", HOST),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
    ("Accept", "application/json, text/plain, */*"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-US,en;q=0.9"),
    ("Cookie", "session=abcdef0123456789; theme=dark"),
    ("X-Request-Id", "4bf92f35-77b3-4da6-a3ce-%012x"),
    ("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01"),
    ("Authorization", "Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.e30.abc"),
    ("Referer", "http://shop.example.com/list"),
    ("X-Order", "%d"),
    ("Cache-Control", "no-cache"),
)
_PATH = "/api/v1/products/%d"


def request_maker() -> Callable[[int], bytes]:
    """A function from a request's number to its bytes."""
    lines = [f"GET {_PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in HEADERS), "", ""]
    template = "\r\n".join(lines)

    def make(number: int) -> bytes:
        return (template % (number % PATHS, number, number, number)).encode()

    return make


def wrk_script() -> str:
    """The same for wrk, with a last line that is easier to read than what wrk prints."""
    headers = ",\n".join(f"    [{_lua(name)}] = {_lua_value(value)}" for name, value in HEADERS)
    return f"""\
local n = 0
function request()
  n = n + 1
  local headers = {{
{headers}
  }}
  return wrk.format("GET", string.format({_lua(_PATH)}, n % {PATHS}), headers)
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    "RESULT requests=%d duration_us=%d p50_us=%d p99_us=%d" ..
    " connect=%d read=%d write=%d timeout=%d status=%d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.timeout, e.status))
end
"""


def _lua(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _lua_value(value: str) -> str:
    return f"string.format({_lua(value)}, n)" if "%" in value else _lua(value)
