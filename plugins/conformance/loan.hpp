// SPDX-License-Identifier: GPL-3.0-only
// Arguments of a call in memory that goes away with it: a plugin that keeps a borrowed pointer and
// reads it later dies of it, here and not at a user's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

namespace conformance {

// Bytes that end (but for alignment) at an unreadable page, unreadable themselves when the loan is
// over. One thread at a time.
class loan {
public:
    explicit loan(std::size_t bytes);
    loan(const loan&) = delete;
    loan& operator=(const loan&) = delete;
    ~loan();

    void* data() const { return data_; }

private:
    std::size_t page_, pages_;
    void* data_;
};

// Copies of values for one call.
template <class T>
class lent {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    explicit lent(std::span<const T> values)
        : memory_(values.size() * sizeof(T)), n_(values.size()) {
        std::copy(values.begin(), values.end(), data());
    }

    explicit lent(const T& value) : lent(std::span<const T>(&value, 1)) {}

    T* data() const { return static_cast<T*>(memory_.data()); }

    std::span<T> all() const { return {data(), n_}; }

private:
    loan memory_;
    std::size_t n_;
};

// Names a read of a loan that is over as what it is: the text is appended to the stage.
void watch_loans(char* stage, std::size_t room);

// From now on a new process is the end of this one, by SIGSYS. Nothing where the kernel cannot.
void forbid_processes();

} // namespace conformance
