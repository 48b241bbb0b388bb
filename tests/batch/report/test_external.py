import pytest

from lib.batch.report.external import external_references

SAMPLES = {
    "script src": '<script src="https://cdn.example.org/a.js"></script>',
    "protocol-relative": '<script src="//cdn.example.org/a.js"></script>',
    "relative script": '<script src="a.js"></script>',
    "image": '<img alt="" src="http://example.org/a.png">',
    "relative image": '<img alt="" src="figures/a.png">',
    "srcset": '<img alt="" src="data:," srcset="data:, 1x, https://example.org/b.png 2x">',
    "style sheet": '<link rel="stylesheet" href="https://example.org/a.css">',
    "icon": '<link rel="icon" href="/favicon.ico">',
    "preconnect": '<link rel="preconnect" href="https://example.org">',
    "import": "<style>@import 'https://example.org/a.css';</style>",
    "import url": "<style>@import url(//example.org/a.css);</style>",
    "font": '<style>@font-face{src:url("https://example.org/a.woff2")}</style>',
    "inline style": '<p style="background: url(https://example.org/a.png)">',
    "svg use": '<svg><use xlink:href="https://example.org/a.svg#x"></use></svg>',
    "svg image": '<svg><image href="https://example.org/a.png"/></svg>',
    "svg paint": '<svg><rect fill="url(https://example.org/a.svg#p)"/></svg>',
    "frame": '<iframe src="https://example.org"></iframe>',
    "frame document": '<iframe srcdoc="&lt;img src=&quot;https://example.org/a.png&quot;&gt;"></iframe>',
    "object": '<object data="a.pdf"></object>',
    "video poster": '<video poster="https://example.org/a.png"></video>',
    "form": '<form action="https://example.org"></form>',
    "ping": '<a href="#a" ping="https://example.org">a</a>',
    "refresh": '<meta http-equiv="refresh" content="0; url=https://example.org">',
    "fetch": "<script>fetch(address)</script>",
    "request": "<script>new XMLHttpRequest()</script>",
    "socket": "<script>new WebSocket(a)</script>",
    "dynamic import": "<script>import('./a.js')</script>",
    "module import": '<script type="module">import mermaid from "https://example.org/a.mjs"</script>',
    "address in a script": "<script>s.src = 'https://example.org/a.js'</script>",
    "handler": """<p onclick="fetch('a')">""",
}


@pytest.mark.parametrize("html", SAMPLES.values(), ids=SAMPLES.keys())
def test_a_request_is_found(html):
    assert len(external_references(html)) >= 1


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://example.org">a link is no request</a>',
        '<a href="runs/quick/page.html#record">a page beside this one</a>',
        '<img alt="" src="data:image/png;base64,AAAA,//AA">',
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="#shape"/><rect fill="url(#p)"/></svg>',
        "<style>a{background:url(data:image/png;base64,AA//BB)}</style>",
        "<style>/* url(https://example.org) */ a{color:red}</style>",
        "<script>document.createElementNS('http://www.w3.org/2000/svg', 'g')</script>",
        "<p>text with https://example.org and @import and url(x)</p>",
        "<pre>fetch('https://example.org')</pre>",
        "<code>&lt;img src='https://example.org'&gt;</code>",
    ],
)
def test_what_is_no_request_is_allowed(html):
    assert external_references(html) == []


def test_the_place_and_the_address_are_named():
    assert external_references('<p><img alt="" src="a.png"></p>') == ["img src: a.png"]
