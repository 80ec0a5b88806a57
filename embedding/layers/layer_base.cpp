#include "embedding/layers/layer_base.hpp"

#include "collectives/folded_sum.hpp"
#include "collectives/vote.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// Takes the path of a layer among those of its communicator, on all ranks or on none.
std::shared_ptr<const void> held_name(Communicator<Cpu>& communicator, const std::string& path) {
  std::shared_ptr<const void> held;
  vote(communicator, [&] {
    held = communicator.names().take(path);
    require(
        held != nullptr, Kind::invalid_argument,
        "expected a new name for a layer of this communicator: found \"{}\", which exists; give "
        "another name, and share = \"{}\" to read the same table",
        path, path);
  });
  return held;
}

}  // namespace

LayerBase::LayerBase(Communicator<Cpu>& communicator, std::shared_ptr<NameScopes> scopes,
                     const LayerOptions& options, const InputSpec& spec)
    : options_(options),
      communicator_(&communicator),
      scopes_(std::move(scopes)),
      path_(scopes_->paths(options.name).front()),
      scope_(path_ + "/"),
      held_name_(held_name(communicator, path_)),
      policy_(dtype_policy_of(options.name, options.dtype_policy, options.value_dtype)),
      input_spec_(spec),
      losses_(path_),
      metrics_(path_),
      calls_(std::make_unique<Calls>()) {}

TensorSpec LayerBase::recorded(std::optional<TensorSpec> Calls::*which, const char* what) const {
  const std::lock_guard lock(calls_->mutex);
  const std::optional<TensorSpec>& spec = (*calls_).*which;
  require(spec.has_value(), Kind::invalid_argument,
          "layer {}: expected a layer that was built or called, whose {} is known: it was not yet",
          path(), what);
  require(!calls_->differ, Kind::invalid_argument,
          "layer {}: expected calls with one number of axes, for one {}: found several", path(),
          what);
  return *spec;
}

TensorSpec LayerBase::input() const { return recorded(&Calls::input, "input"); }

TensorSpec LayerBase::output() const { return recorded(&Calls::output, "output"); }

bool LayerBase::has_shapes() const {
  const std::lock_guard lock(calls_->mutex);
  return calls_->input.has_value();
}

void LayerBase::record(const FreeShape& input, const FreeShape& output) const {
  // The batch is free where there is one: a single bag or vector has none.
  const auto batch_free = [](FreeShape shape, bool batched) {
    if (batched && !shape.empty()) {
      shape[0] = std::nullopt;
    }
    return shape;
  };
  const std::lock_guard lock(calls_->mutex);
  calls_->differ = calls_->differ || (calls_->input && calls_->input->shape.size() != input.size());
  calls_->input = {options_.key_dtype, batch_free(input, true)};
  calls_->output = {policy_.compute_dtype, batch_free(output, output.size() > 1)};
}

void LayerBase::add_loss(double loss, const IdsView* inputs) {
  add_loss(std::vector<double>{loss}, inputs);
}

void LayerBase::add_loss(const std::vector<double>& losses, const IdsView* /*inputs*/) {
  losses_.add(losses, steps());
}

void LayerBase::add_loss(std::function<double()> loss, const IdsView* /*inputs*/) {
  losses_.add(std::move(loss));
}

std::vector<double> LayerBase::losses() { return losses_.read(*communicator_, steps()); }

void LayerBase::add_metric(double value, const std::optional<std::string>& name,
                           const std::string& aggregation) {
  metrics_.add({value}, slices_of(nullptr, 1), name, aggregation);
}

void LayerBase::add_metric(const std::vector<double>& values, const SliceLayout& slices,
                           const std::optional<std::string>& name, const std::string& aggregation) {
  metrics_.add(values, slices, name, aggregation);
}

SliceLayout LayerBase::slices_of(const SliceLayout* given, std::int64_t samples) const {
  const std::int64_t rank = communicator_->rank();
  return given != nullptr ? *given
                          : SliceLayout{communicator_->size(), {rank, rank + 1}, {0, samples}};
}

void LayerBase::add_folded_loss(const std::vector<double>& terms, const SliceLayout& slices,
                                double factor) {
  std::vector<bool> present;
  for (std::size_t s = 0; s < terms.size(); ++s) {
    present.push_back(slices.offsets[s] < slices.offsets[s + 1]);
  }
  losses_.add({factor * folded_scalar(*communicator_, slices.slices, terms, present)}, steps());
}

void LayerBase::set_trainable(bool trainable) {
  require(!trainable || !is_integer(value_dtype_of(options_.value_dtype)), Kind::invalid_argument,
          "layer {}: rows of integers need trainable = false: found value_dtype {}", path(),
          options_.value_dtype);
  options_.trainable = trainable;
}

}  // namespace keyshard
