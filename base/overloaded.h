// SPDX-License-Identifier: Apache-2.0
// base/overloaded.h — one visitor out of several lambdas, for std::visit.
#pragma once

namespace base {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace base
