# SPDX-License-Identifier: GPL-3.0-only
"""Renders chat templates with transformers and writes what rlx must give, as length and FNV-1a 64 hash.

Usage: python template_goldens.py <folder with *.jinja> <smollm2.gguf or ""> <out.json>    (needs transformers, gguf)

The conversations are written into the output too, so that the test needs neither Python nor this script.
The GGUF's own template is written beside the output as smollm2.jinja. A template that refuses a conversation (raise_exception, or an operation that Python refuses) is an expected error.
"""
import datetime, json, pathlib, sys
import transformers
from transformers.utils import chat_template_utils as utils

NOW = datetime.datetime(2026, 7, 26, 12, 30, 5)


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


utils.datetime = Clock

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a place — now & later <b>\"fast\"</b>",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "City, e.g. 東京"},
        "days": {"type": "integer", "description": "How many days", "default": 3},
        "units": {"type": "string", "enum": ["metric", "imperial"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "where": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}, "required": ["lat"]},
    }, "required": ["city"]}}},
    {"type": "function", "function": {"name": "noop", "description": "Does nothing.", "parameters": {"type": "object", "properties": {}}}}]


DESCRIBED_TOOLS = [{"type": "function", "function": {
    "name": "search", "description": "Searches.", "parameters": {"type": "object", "properties": {
        "q": {"type": "string", "description": "the words"}, "n": {"type": ["integer", "string"], "description": "how many"},
        "by": {"type": "array", "items": {"type": "number"}, "description": "weights"},
        "map": {"type": "object", "additionalProperties": {"type": "boolean"}, "description": "flags"}}, "required": ["q"]}}}]


def call(name, arguments, number):
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


TOOL_CHAT = [
    user("Weather in Oslo and 東京?"),
    assistant("", tool_calls=[call("get_weather", {"city": "Oslo", "days": 2}, 1), call("get_weather", {"city": "東京", "tags": ["a", "b"], "where": {"lat": 35.5, "lon": -1e-7}}, 2)]),
    {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": "{\"temp\": 3.5}"},
    {"role": "tool", "name": "get_weather", "tool_call_id": "call00002", "content": "rain"},
    assistant("Cold and wet."),
    user("Thanks"),
]
CONVERSATIONS = {
    "user": [user("Hello!")],
    "system": [system("You are a pirate."), user("Hello!")],
    "turns": [user("Hi"), assistant("Hello! How can I help?"), user("  Tell me a joke.\n"), assistant("Why? Because.\n\n"), user("Another")],
    "system_turns": [system("  Be brief.  "), user("Hi"), assistant("Hi."), user("Bye")],
    "ends_with_assistant": [user("Count"), assistant("1 2 3")],
    "unicode": [system("Ünïcödé ✓"), user("नमस्ते दुनिया 🦙 \u200b café\t\"quoted\" 'single' \\ {{ not_jinja }} {% x %}"), assistant("好的。"), user("ok\r\nnext")],
    "thinking": [user("2+2?"), assistant("<think>\nadd them\n</think>\n\n4"), user("3+3?"), assistant("<think>\nagain\n</think>\n\n6")],
    "thinking_field": [user("2+2?"), assistant("4", reasoning_content="add\nthem"), user("and 5?"), assistant("5", reasoning="trivial"), user("ok")],
    "empty": [user("")],
    "two_system": [system("a"), user("b"), system("c"), user("d")],
    "two_users": [user("a"), user("b")],
    "parts": [user([{"type": "text", "text": "part one "}, {"type": "text", "text": "and two"}])],
    "tool_chat": TOOL_CHAT,
    "tool_last": TOOL_CHAT[:4],
    "one_tool_call": [user("Weather?"), assistant("", tool_calls=[call("get_weather", {"city": "Oslo"}, 1)]), {"role": "tool", "tool_call_id": "call00001", "content": "sun"}],
    "tool_text_arguments": [user("Weather?"), assistant("Let me see", tool_calls=[call("get_weather", "{\"city\": \"Oslo\"}", 1)]), {"role": "tool", "tool_call_id": "call00001", "content": "sun"}],
}
VARIANTS = {
    "plain": {},
    "no_prompt": {"add_generation_prompt": False},
    "think": {"enable_thinking": True},
    "no_think": {"enable_thinking": False},
    "tools": {"tools": TOOLS},
    "described_tools": {"tools": DESCRIBED_TOOLS},
    "tools_no_think": {"tools": TOOLS, "enable_thinking": False},
    "documents": {"documents": [{"title": "T1", "text": "body <1>", "doc_id": 1}, {"title": "T2", "text": "zwei", "doc_id": 2}]},
}


def fnv1a(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def render(source, messages, bos, eos, variant):
    options = {"add_generation_prompt": True, **variant}
    try:
        out, _ = utils.render_jinja_template([messages], chat_template=source, bos_token=bos, eos_token=eos, **options)
        return out[0]
    except Exception as e:  # what Python refuses is the expectation
        return e


def cases(source):
    for c, messages in CONVERSATIONS.items():
        for v, variant in VARIANTS.items():
            yield c, v, render(source, messages, "<BOS>", "<EOS>", variant)


def sources(folder, gguf_file, beside):
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        yield path.name, path.read_text(encoding="utf-8")
    if gguf_file:
        import gguf
        field = gguf.GGUFReader(gguf_file).fields["tokenizer.chat_template"]
        source = bytes(field.parts[field.data[0]]).decode()
        pathlib.Path(beside, "smollm2.jinja").write_bytes(source.encode())
        yield "smollm2.jinja", source


def main(folder, gguf_file, out_file):
    out = {"made_with": f"transformers {transformers.__version__}", "now": NOW.strftime("%Y-%m-%d %H:%M:%S"), "bos": "<BOS>",
           "eos": "<EOS>", "conversations": CONVERSATIONS, "variants": VARIANTS, "expected": {}}
    for name, source in sources(folder, gguf_file, pathlib.Path(out_file).parent):
        rows = {}
        for c, v, text in cases(source):
            rows[f"{c}/{v}"] = "error" if isinstance(text, Exception) else f"{len(text.encode())} {fnv1a(text.encode())}"
        out["expected"][name] = rows
        print(name, sum(r == "error" for r in rows.values()), "errors of", len(rows))
    with open(out_file, "w", encoding="utf-8") as f:
        json.dump(out, f, ensure_ascii=False, indent=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
