// SPDX-License-Identifier: GPL-3.0-only
// A family plugin as an author writes it; its model answers from constants.
#include "rlx/sdk/plugin.hpp"

#include <stdexcept>

namespace {

using namespace rlx;

class toy_family {
public:
    static sdk::result<std::unique_ptr<toy_family>> open(rlx_weights*, sdk::options_view opts) {
        auto made = std::make_unique<toy_family>();
        made->vocab_ = RLX_TRY(opts.i64_or("vocab", 7));
        if (made->vocab_ == 13) throw std::runtime_error("thirteen is out of luck");
        if (made->vocab_ < 1) {
            return sdk::fail(RLX_INVALID_ARGUMENT, "vocab is {}, expected 1 or more", made->vocab_);
        }
        return made;
    }

    sdk::status info(sdk::options_writer out) const {
        return out.set("vocab_size", vocab_).set("name", "toy").done();
    }

private:
    std::int64_t vocab_ = 0;
};

struct toy_plugin {
    using family = toy_family;
};

} // namespace

RLX_PLUGIN(toy_plugin)
