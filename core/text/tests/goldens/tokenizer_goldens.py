# SPDX-License-Identifier: GPL-3.0-only
"""Small tokenizer.json files, and the ids that `tokenizers` gives for them and for real vocabularies.

Usage: python tokenizer_goldens.py <folder with vocab-only *.gguf> <fixtures>    (needs tokenizers, gguf)

tiny_bpe.json   byte-level BPE, case-insensitive split, NFC, special tokens with every stripping rule, template
tiny_spm.json   BPE on characters with byte fallback, U+2581 for spaces
tiny_clip.json  lower-cased words with an end-of-word suffix
tiny_wordpiece.json  BERT: its normaliser and pre-tokeniser, WordPiece, template
tiny_unigram.json    SentencePiece unigram with a few compiled rules of normalisation (needs sentencepiece)
tokenizers.golden.json   texts, ids and decoded texts for these, and ids of random texts for the GGUF vocabularies,
                         which are turned into a tokenizer.json in memory
"""
import base64, io, json, os, random, sys, tempfile, unicodedata
import gguf
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

WORDS = ("the quick brown fox don't I'LL we'Ve you're o'clock HTTPServer camelCase snake_case x1y2 3.14 1,000,000 2024-01-01 "
         "foo() <b>html</b> https://a.b/c?d=e&f=g naïve café résumé ÅNGSTRÖM Straße ŒUVRE Привет мир нещо 你好世界 今日は 한국어 "
         "שלום مرحبا ไทย हिन्दी தமிழ் ខ្មែរ ελληνικά 𝔘𝔫𝔦 ①② Ⅷ ½ ٣٤ 🦙 👩‍👩‍👧 ☃️ … — “quoted” 'ſ ﬁ ㎏").split()
SPACES = [" "] * 8 + ["  ", "   ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\x85", "\u200b", " \n", "\n "]
POOL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) not in ("Cn", "Co")]
MARKS = [c for c in POOL if unicodedata.category(chr(c))[0] == "M"]
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    "llama-bpe": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL,
    "qwen2": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL,
    "qwen35": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + TAIL,
}


def random_text(r, specials):
    def piece():
        k = r.random()
        if k < .45: return r.choice(WORDS)
        if k < .65: return r.choice(SPACES) * r.choice([1, 1, 1, 2, 4])
        if k < .72: return "".join(chr(r.choice(POOL)) for _ in range(r.randint(1, 3)))
        if k < .77: return r.choice("aeiounAEIOU") + "".join(chr(r.choice(MARKS)) for _ in range(r.randint(1, 3)))
        if k < .82: return unicodedata.normalize("NFD", r.choice(WORDS))
        if k < .87: return "".join(r.choice("0123456789") for _ in range(r.randint(1, 7)))
        if k < .93: return "".join(r.choice("!?.,;:'\"()[]{}<>/\\|@#$%^&*-_=+~`▁Ġ") for _ in range(r.randint(1, 5)))
        if k < .96 and specials: return r.choice(specials)
        return r.choice(["a", "=", " ", "\n"]) * r.randint(5, 40)
    return "".join(piece() for _ in range(r.randint(1, 9))).replace("\0", "")


def corpus():
    r = random.Random(5)
    for _ in range(3000):
        yield " ".join(r.choice(WORDS[:30]) for _ in range(12))


def tiny_bpe():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERNS["llama-bpe"]), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|end|>", "<|begin|>"]))
    t.add_special_tokens([tokenizers.AddedToken("<|left|>", lstrip=True), tokenizers.AddedToken("<|right|>", rstrip=True), tokenizers.AddedToken("word", single_word=True)])
    t.add_tokens([tokenizers.AddedToken("Plain Token", normalized=False), tokenizers.AddedToken("plain token", normalized=True), tokenizers.AddedToken("tok")])
    t.post_processor = processors.TemplateProcessing(single="<|begin|> $A <|end|>", special_tokens=[("<|begin|>", 1), ("<|end|>", 0)])
    return t


def tiny_spm():
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=640, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, max_token_length=8))
    j = json.loads(t.to_str())
    j["added_tokens"] = [a for a in j["added_tokens"] if a["id"] < 3]  # bytes are no names
    j["decoder"] = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                     {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    t = Tokenizer.from_str(json.dumps(j))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def tiny_clip():
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<unk>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True)
    t.decoder = decoders.BPEDecoder(suffix="</w>")
    t.train_from_iterator((s.lower() for s in corpus()), trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>", "<end>"], end_of_word_suffix="</w>"))
    return t


def tiny_wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=30))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


# Source and target of each rule, longer ones over shorter ones, one that deletes, one from a cluster of characters.
RULES = [("ﬁ", "fi"), ("①", "1"), ("e\u0301", "é"), ("…", "..."), ("\u00a0", " "), ("\u3000", " "), ("\t", " "), ("\n", " "), ("\u200b", ""),
         ("ﬀ", "ff"), ("한", "H"), ("a\u0300\u0301", "A"), ("a\u0300", "à")]


def tiny_unigram():
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as tsv:
        tsv.writelines(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n" for a, b in RULES)
        tsv.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=corpus(), model_writer=model, vocab_size=300, model_type="unigram",
                                                 normalization_rule_tsv=tsv.name, hard_vocab_limit=False, minloglevel=2, num_threads=1)
    proto = pb.ModelProto()
    proto.ParseFromString(model.getvalue())
    vocab = [(p.piece, p.score) for p in proto.pieces]
    j = json.loads(Tokenizer(models.Unigram(vocab, 0, False)).to_str())
    j["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
    t = Tokenizer.from_str(json.dumps(j))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    t.decoder = decoders.Metaspace(prepend_scheme="always")
    t.add_special_tokens(["<s>", "</s>", "<unk>"])
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return t


def gguf_fields(path):
    fields = gguf.GGUFReader(path).fields

    def get(name):
        f = fields["tokenizer.ggml." + name]
        if f.types[1] == gguf.GGUFValueType.STRING:
            return [bytes(f.parts[i]).decode() for i in f.data]
        return [f.parts[i][0].item() for i in f.data]
    return get


def added(tokens, types):
    return [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": types[i] in (2, 3)}
            for i, t in enumerate(tokens) if types[i] in (2, 3, 4)]


def from_gguf(path, name):
    get = gguf_fields(path)
    tokens, types = get("tokens"), get("token_type")
    j = {"version": "1.0", "added_tokens": added(tokens, types), "normalizer": None, "pre_tokenizer": None, "post_processor": None,
         "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "ignore_merges": name == "llama-bpe"}}
    if name == "bert-bge":
        words = [t if t[0] == "[" and t[-1] == "]" and len(t) > 2 else t[1:] if t[0] == "▁" else "##" + t for t in tokens]
        j["model"] = {"type": "WordPiece", "vocab": {t: i for i, t in enumerate(words)}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
        j |= {"normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
              "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}
    elif name == "llama-spm":
        ids, scores = j["model"]["vocab"], get("scores")
        merges = sorted((-scores[i], ids[t[:k]], ids[t[k:]], t[:k], t[k:]) for i, t in enumerate(tokens) if types[i] == 1
                        for k in range(1, len(t)) if t[:k] in ids and t[k:] in ids)
        j["model"] |= {"merges": [m[3:] for m in merges], "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
        j["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    else:
        j["model"]["merges"] = get("merges")
        split = {"type": "Split", "pattern": {"Regex": PATTERNS.get(name, "")}, "behavior": "Isolated", "invert": False}
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": name not in PATTERNS}
        digits = {"type": "Digits", "individual_digits": True}
        first = [split] if name in PATTERNS else [] if name == "gpt-2" else [digits]
        j["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": first + [byte_level]}
        if name in ("qwen2", "command-r"):
            j["normalizer"] = {"type": "NFC"}
    return Tokenizer.from_str(json.dumps(j))


def golden(t, seed, count, modes):
    r = random.Random(seed)
    specials = [a.content for a in t.get_added_tokens_decoder().values()][:30]
    texts = [random_text(r, specials) for _ in range(count)]
    ids = {}
    for mode in modes:
        t.encode_special_tokens = "parse" not in mode
        ids[mode] = [t.encode(x, add_special_tokens="add" in mode).ids for x in texts]
    return {"texts": texts, "ids": ids}


def main(vocab, out):
    result = {"made_with": f"tokenizers {tokenizers.__version__}", "files": {}, "gguf": {}}
    for name, make in (("tiny_bpe", tiny_bpe), ("tiny_spm", tiny_spm), ("tiny_clip", tiny_clip), ("tiny_wordpiece", tiny_wordpiece),
                       ("tiny_unigram", tiny_unigram)):
        t = make()
        t.save(f"{out}/{name}.json", pretty=False)
        # The reference finds the names of control tokens in a unigram vocabulary even when it is told not to; we do not.
        g = golden(t, 11, 80, ["parse", "add parse"] if name == "tiny_unigram" else ["", "parse", "add parse"])
        r = random.Random(12)
        some = [[r.randrange(t.get_vocab_size()) for _ in range(r.randint(1, 10))] for _ in range(80)]
        g["decode"] = [[i, t.decode(i), t.decode(i, skip_special_tokens=False)] for i in some + g["ids"].get("", g["ids"]["parse"])[:20]]
        result["files"][name] = g
    for name in ("gpt-2", "starcoder", "command-r", "llama-bpe", "qwen2", "qwen35", "llama-spm", "bert-bge"):
        path = f"{vocab}/{name}.gguf"
        if os.path.exists(path):
            result["gguf"][name] = golden(from_gguf(path, name), 13, 60, ["", "parse"])
        print(name, flush=True)
    with open(f"{out}/tokenizers.golden.json", "w", encoding="utf-8") as f:
        json.dump(result, f, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main(*sys.argv[1:])
