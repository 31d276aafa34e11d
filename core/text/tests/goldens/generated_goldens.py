# SPDX-License-Identifier: GPL-3.0-only
"""Small tokenizers of the encoder families, and hashes of the ids `tokenizers` gives for 100,000 generated texts.

Usage: python generated_goldens.py <folder with vocab-only *.gguf> <fixtures>    (needs tokenizers, gguf)
       python generated_goldens.py <folder with *.gguf> <fixtures> NAME BLOCK    prints texts and ids of one block of one vocabulary

generated/cased.json    BERT that keeps case and accents (clinicalbert, XLM-R's neighbours of the first days)
generated/mpnet.json    MPNet: BERT's normaliser and WordPiece, RoBERTa's special tokens and template
generated/roberta.json  byte-level BPE with GPT-2's pre-tokeniser, RoBERTa's special tokens and template
generated/xlm-r.json    SentencePiece unigram with XLM-R's pre-tokeniser and special tokens, a few compiled rules of normalisation
generated/golden.json   tables of the texts' pieces, a hash per block of texts, a hash per block of ids for each vocabulary,
                        and a few texts with their ids

The texts are made by the rules of Texts below from SplitMix64; ../generated_test.cpp has the same rules and makes the same
texts, so that only hashes need to be stored.
"""
import base64, json, os, pathlib, random, sys, unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import tokenizer_goldens as g

MASK = (1 << 64) - 1
BLOCKS, BLOCK = 100, 1000
EXAMPLES = [0, 1, 2, 31415, 99999]


def ranges(accept):
    out = []
    for c in range(0x110000):
        if not 0xD800 <= c < 0xE000 and accept(unicodedata.category(chr(c))):
            if out and out[-1][0] + out[-1][1] == c:
                out[-1][1] += 1
            else:
                out.append([c, 1])
    return out


def tables():
    """Ranges are [first, count]; a range is drawn first, then a code point in it: small scripts come as often as large ones."""
    return {"words": g.WORDS + ["embedding", "unbelievable", "tokenization", "clinical", "patient", "x" * 101, "é" * 60],
            "spaces": g.SPACES, "letters": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZäöüßéñøåçœæıİſ",
            "points": "!?.,;:'\"()[]{}<>/\\|@#$%^&*-_=+~`▁Ġ", "repeated": "a= \n#é中",
            "any": ranges(lambda k: k not in ("Cn", "Co")), "marks": ranges(lambda k: k[0] == "M")}


class Texts:
    """Text i of a vocabulary whose special tokens are `specials`."""

    def __init__(self, t, specials):
        self.t, self.specials, self.state = t, specials, 0

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (((z ^ (z >> 31)) >> 32) * n) >> 32

    def pick(self, table):
        return table[self.below(len(table))]

    def point(self, table):
        first, count = self.pick(table)
        return chr(first + self.below(count))

    def some(self, most, make):
        return "".join(make() for _ in range(1 + self.below(most)))

    def piece(self):
        k, t = self.below(100), self.t
        if k < 35: return self.pick(t["words"])
        if k < 55: return self.some(4, lambda: self.pick(t["spaces"])) if self.below(4) == 0 else self.pick(t["spaces"])
        if k < 67: return self.some(3, lambda: self.point(t["any"]))
        if k < 74: return self.some(1, lambda: self.pick(t["letters"])) + self.some(3, lambda: self.point(t["marks"]))
        if k < 82: return self.some(12, lambda: self.pick(t["letters"]))
        if k < 87: return self.some(7, lambda: self.pick("0123456789"))
        if k < 93: return self.some(5, lambda: self.pick(t["points"]))
        if k < 96 and self.specials: return self.pick(self.specials)
        one, n = self.pick(t["repeated"]), 5 + self.below(120)
        return one * n

    def text(self, i):
        self.state = (0x726C78 << 32) + i
        return self.some(9, self.piece)


def fnv(h, values):
    for v in values:
        h = ((h ^ v) * 0x100000001B3) & MASK
    return h


START = 0xCBF29CE484222325


def roberta_names(t, mask):
    t.add_special_tokens([AddedToken(s, normalized=False) for s in ("<s>", "<pad>", "</s>", "<unk>")] +
                         [AddedToken("<mask>", lstrip=True, normalized=mask == "normalized")])
    t.post_processor = processors.RobertaProcessing(sep=("</s>", t.token_to_id("</s>")), cls_token=("<s>", t.token_to_id("<s>")),
                                                    trim_offsets=True, add_prefix_space=False)
    return t


def cased():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(lowercase=False)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(g.corpus(), trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


def mpnet():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(g.corpus(), trainers.WordPieceTrainer(vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "[UNK]"]))
    return roberta_names(t, "normalized")


def roberta():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(g.corpus(), trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                          special_tokens=["<s>", "<pad>", "</s>", "<unk>"]))
    return roberta_names(t, "as it is")


def xlm_r(fixtures):
    j = json.loads((fixtures / "tiny_unigram.json").read_text(encoding="utf-8"))
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [p for p in j["model"]["vocab"] if p[0] not in names]
    j["model"] |= {"vocab": [[n, 0.0] for n in names] + pieces + [["<mask>", 0.0]], "unk_id": 3}
    j["added_tokens"] = [{"id": i, "content": n, "single_word": False, "lstrip": n == "<mask>", "rstrip": False, "normalized": False,
                          "special": True} for i, n in [*enumerate(names), (len(pieces) + 4, "<mask>")]]
    j["normalizer"], j["post_processor"] = j["normalizer"]["normalizers"][0], None
    t = Tokenizer.from_str(json.dumps(j))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return t


def nomic_bert_moe(path):
    get = g.gguf_fields(path)
    tokens, types, scores = get("tokens"), get("token_type"), get("scores")
    charsmap = base64.b64encode(bytes(x & 255 for x in get("precompiled_charsmap"))).decode()
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "added_tokens": g.added(tokens, types), "post_processor": None, "pre_tokenizer": metaspace, "decoder": metaspace,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": charsmap},
                                                          {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": [[t, s] for t, s in zip(tokens, scores)], "byte_fallback": False}}))


def made(vocab, fixtures):
    """Name, tokenizer, whether special tokens are added (a GGUF vocabulary is compared without)."""
    for name, make in (("cased", cased), ("mpnet", mpnet), ("roberta", roberta), ("xlm-r", lambda: xlm_r(fixtures))):
        t = make()
        t.save(str(fixtures / "generated" / f"{name}.json"), pretty=False)
        yield name, t, True
    for name in ("tiny_wordpiece", "tiny_unigram"):
        yield name, Tokenizer.from_file(str(fixtures / f"{name}.json")), True
    for name, make in (("bert-bge", lambda p: g.from_gguf(p, "bert-bge")), ("nomic-bert-moe", nomic_bert_moe), ("gpt-2", lambda p: g.from_gguf(p, "gpt-2"))):
        yield name, make(f"{vocab}/{name}.gguf"), False


def specials_of(t, most=6):
    return [a.content for _, a in sorted(t.get_added_tokens_decoder().items()) if a.special][:most]


def main(vocab, fixtures, only="", block=""):
    fixtures = pathlib.Path(fixtures)
    (fixtures / "generated").mkdir(exist_ok=True)
    pieces = tables()
    out = {"made_with": f"tokenizers {tokenizers.__version__}, Unicode {unicodedata.unidata_version}", "block": BLOCK, "tables": pieces, "vocabularies": {}}
    for name, t, add in made(vocab, fixtures):
        if only not in ("", name):
            continue
        source = Texts(pieces, specials_of(t))
        if block:
            texts = [source.text(i) for i in range(int(block) * BLOCK, (int(block) + 1) * BLOCK)]
            for x, e in zip(texts, t.encode_batch(texts, add_special_tokens=add)):
                print(json.dumps([x, e.ids], ensure_ascii=False))
            continue
        entry = {"special": source.specials, "add": add, "texts": [], "ids": [], "examples": []}
        for b in range(BLOCKS):
            texts = [source.text(i) for i in range(b * BLOCK, (b + 1) * BLOCK)]
            text_hash = id_hash = START
            for k, (x, e) in enumerate(zip(texts, t.encode_batch(texts, add_special_tokens=add))):
                text_hash = fnv(text_hash, [len(x), *map(ord, x)])
                id_hash = fnv(id_hash, [len(e.ids), *e.ids])
                if b * BLOCK + k in EXAMPLES:
                    entry["examples"].append([b * BLOCK + k, x, e.ids])
            entry["texts"].append(f"{text_hash:016x}")
            entry["ids"].append(f"{id_hash:016x}")
        out["vocabularies"][name] = entry
        print(name, flush=True)
    if not only:
        with open(fixtures / "generated" / "golden.json", "w", encoding="utf-8") as f:
            json.dump(out, f, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main(*sys.argv[1:])
