// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/chat_template.hpp"

namespace rlx::text::jinja {

result<std::unique_ptr<chat_template>>
compile_chat_template(std::string, std::vector<std::pair<std::string, std::string>>) {
    return error{RLX_UNSUPPORTED, "chat templates are not there yet"};
}

}  // namespace rlx::text::jinja
