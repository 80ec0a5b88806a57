// The regularizers of the outputs of features in a training step: their values, which are part of
// the loss, and their gradients, which join those of the model. A value is added in double over the
// samples of a slice in their order, then folded over slices.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "collectives/folded_sum.hpp"
#include "embedding/layers/options.hpp"
#include "embedding/layers/output_function.hpp"
#include "embedding/lookup/lookup.hpp"
#include "io/batch.hpp"
#include "runtime/copy.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// The columns of a feature in the output of a column group, and their regularizer.
struct ActivityColumns {
  std::int64_t begin;
  std::int64_t end;
  L1L2 function;
};

/// sums[s] += the values over the outputs of slice s.
struct SumActivity {
  MatrixView<const float> outputs;
  const ActivityColumns* columns;
  std::int64_t size;
  const std::int64_t* starts;  ///< samples before each slice
  double* sums;

  std::int64_t work() const { return 1 << 12; }

  KEYSHARD_HD void operator()(std::int64_t s) const {
    double sum = sums[s];
    for (std::int64_t sample = starts[s]; sample < starts[s + 1]; ++sample) {
      for (const ActivityColumns* part = columns; part != columns + size; ++part) {
        for (std::int64_t c = part->begin; c < part->end; ++c) {
          sum += part->function.value(outputs.row(sample)[c]);
        }
      }
    }
    sums[s] = sum;
  }
};

/// Adds scale * the derivatives to the gradients of a sample.
struct AddActivity {
  MatrixView<const float> outputs;
  const ActivityColumns* columns;
  std::int64_t size;
  double scale;
  MatrixView<float> gradients;

  std::int64_t work() const { return outputs.cols; }

  KEYSHARD_HD void operator()(std::int64_t sample) const {
    const float* y = outputs.row(sample);
    float* gradient = gradients.row(sample);
    for (const ActivityColumns* part = columns; part != columns + size; ++part) {
      for (std::int64_t c = part->begin; c < part->end; ++c) {
        gradient[c] += static_cast<float>(scale * part->function.derivative(y[c]));
      }
    }
  }
};

template <Backend B>
class ActivityTerms {
 public:
  /// `activities` as EmbeddingOptions has them; `slices` of a batch. Borrows the communicator.
  ActivityTerms(Communicator<B>& communicator, const Lookup<B>& lookup,
                const std::vector<std::vector<ActivityOptions>>& activities, std::int64_t slices)
      : communicator_(communicator),
        slices_(slices),
        groups_(static_cast<std::size_t>(lookup.groups())) {
    for (std::size_t f = 0; f < activities.size(); ++f) {
      for (std::size_t g = 0; g < activities[f].size(); ++g) {
        const auto feature = static_cast<std::int64_t>(f), group = static_cast<std::int64_t>(g);
        const std::int64_t begin = lookup.column(feature, group);
        const std::int64_t end =
            f + 1 < activities.size() ? lookup.column(feature + 1, group) : lookup.width(group);
        const ActivityOptions& options = activities[f][g];
        if (options.l1 > 0 || options.l2 > 0) {
          groups_[g].push_back({begin, end, {options.l1, options.l2}});
          any_ = true;
        }
      }
    }
  }

  /// Adds the gradients / valid samples, and returns the values / valid samples of the global
  /// batch; 0 where no feature has a regularizer. `outputs` and `gradients` of every group.
  /// Collective.
  double add(Stream<B>& stream, const Batch& batch, std::int64_t valid_samples,
             const std::vector<MatrixView<float>>& outputs,
             const std::vector<MatrixView<float>>& gradients) const {
    if (!any_) {
      return 0;
    }
    const double scale = 1 / static_cast<double>(std::max<std::int64_t>(valid_samples, 1));
    const std::int64_t mine = std::ssize(batch.slice_offsets) - 1;
    const Buffer<std::int64_t, B> starts = to_device(stream, batch.slice_offsets);
    Buffer<double, B> sums = to_device(stream, std::vector<double>(static_cast<std::size_t>(mine)));
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const Buffer<ActivityColumns, B> columns = to_device(stream, groups_[g]);
      const MatrixView<const float> y = outputs[g];
      for_each(stream, mine,
               SumActivity{y, columns.data(), columns.size(), starts.data(), sums.data()});
      for_each(stream, y.rows, AddActivity{y, columns.data(), columns.size(), scale, gradients[g]});
    }
    std::vector<bool> present;
    for (std::size_t s = 0; s + 1 < batch.slice_offsets.size(); ++s) {
      present.push_back(batch.slice_offsets[s] < batch.slice_offsets[s + 1]);
    }
    return scale * folded_scalar(communicator_, slices_, to_host(stream, sums), present);
  }

 private:
  Communicator<B>& communicator_;
  std::int64_t slices_;
  std::vector<std::vector<ActivityColumns>> groups_;
  bool any_ = false;
};

}  // namespace keyshard
