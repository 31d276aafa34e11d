// SPDX-License-Identifier: GPL-3.0-only
// What makes the bert family's sources the clinicalbert family: which checkpoints it takes.
#include "../bert/config.hpp"

#include <algorithm>

namespace rlx::bert {
namespace {

constexpr std::string_view architectures[] = {
    "BertModel",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForSequenceClassification",
    "DistilBertModel",
    "DistilBertForMaskedLM",
    "DistilBertForSequenceClassification",
};

} // namespace

std::string_view family_name() {
    return "clinicalbert";
}

void check_checkpoint(const sdk::checkpoint& c) {
    const std::string_view type = c.architecture();
    if (c.ok() && (c.is_gguf() || (type != "bert" && type != "distilbert"))) {
        c.errors().fail(
            RLX_UNSUPPORTED,
            "{} '{}': clinicalbert reads safetensors checkpoints of model_type bert "
            "(Bio_ClinicalBERT, Bio_Discharge_Summary_BERT) and distilbert "
            "(medicalai/ClinicalBERT); the family bert reads others",
            c.is_gguf() ? "GGUF architecture" : "model_type",
            type
        );
        return;
    }
    const std::string_view made = c.text("architectures.0", "");
    if (c.ok() && !made.empty() &&
        std::find(std::begin(architectures), std::end(architectures), made) ==
            std::end(architectures))
        c.errors().fail(
            RLX_UNSUPPORTED,
            "config: architectures names {}, clinicalbert reads {} and the same of DistilBert",
            made,
            "BertModel, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification"
        );
}

std::string_view variant_of(const sdk::checkpoint& c, const config& m) {
    const std::string_view path = c.text("_name_or_path", "");
    for (const std::string_view name : {"Bio_ClinicalBERT", "Bio_Discharge_Summary_BERT"}) {
        if (path.ends_with(name)) return name;
    }
    // BioBERT's cased vocabulary; the multilingual cased one.
    constexpr std::int64_t bio = 28996, multilingual = 119547;
    if (m.kind == kind::bert && m.vocab == bio) return "Bio_ClinicalBERT";
    if (path.ends_with("medicalai/ClinicalBERT") || m.vocab == multilingual) return "ClinicalBERT";
    return {};
}

} // namespace rlx::bert
