#include "tests/embedding/layers/random_program.hpp"

#include <random>

namespace keyshard::testing {
namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(seed) {}

  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
  }

  bool once_in(std::int64_t n) { return below(n) == 0; }

  /// In [-1, 1), a multiple of 2^-20.
  float number() { return static_cast<float>(below(1 << 21) - (1 << 20)) / (1 << 20); }

  template <class T>
  const T& one_of(const std::vector<T>& values) {
    return values[static_cast<std::size_t>(below(std::ssize(values)))];
  }

 private:
  std::mt19937_64 random_;
};

/// Tells apart the layouts of ids.
enum class Form { one_bag, rectangle, nested, ragged, lists_of_lists };

/// Draws ids [n] of a bag of `part`, and notes those that count.
void draw_ids(Draw& draw, const LayerOptions& layer, std::int64_t n, Part& part,
              std::vector<ReferenceId>& bag) {
  for (std::int64_t i = 0; i < n; ++i) {
    const Key key = draw.one_of(kProgramKeys);
    part.ids.push_back(key);
    bool counts = key != layer.padding_id;
    if (part.mask.capacity() > 0) {
      part.mask.push_back(draw.once_in(4) ? 0 : 1);
      counts = counts && part.mask.back() != 0;
    }
    ReferenceId id{key};
    if (part.weights.capacity() > 0) {
      part.weights.push_back(2 * draw.number());
      id.weight = static_cast<double>(part.weights.back());
    }
    if (counts) {
      bag.push_back(id);
    }
  }
}

/// Ids [n, m] of a sample, whose bags are the columns of that matrix.
void draw_nested(Draw& draw, const LayerOptions& layer, std::int64_t n, std::int64_t m,
                 Part& part) {
  ReferenceSample& sample = part.samples.emplace_back();
  sample.nested = true;
  sample.bags.resize(static_cast<std::size_t>(m));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::vector<ReferenceId>& bag : sample.bags) {
      draw_ids(draw, layer, 1, part, bag);
    }
  }
}

/// Lists of ids of a sample; its bags are the positions in these lists.
void draw_lists(Draw& draw, const LayerOptions& layer, Part& part) {
  ReferenceSample& sample = part.samples.emplace_back();
  sample.nested = true;
  for (std::int64_t lists = draw.below(4); lists > 0; --lists) {
    const auto length = static_cast<std::size_t>(draw.below(4));
    sample.bags.resize(std::max(sample.bags.size(), length));
    for (std::size_t i = 0; i < length; ++i) {
      draw_ids(draw, layer, 1, part, sample.bags[i]);
    }
    part.offsets.push_back(std::ssize(part.ids));
  }
  part.outer.push_back(std::ssize(part.offsets) - 1);
}

Part draw_part(Draw& draw, const LayerOptions& layer, Form form, bool masked, bool weighted,
               std::int64_t n, std::int64_t m) {
  Part part;
  part.mask.reserve(masked ? 1 : 0);
  part.weights.reserve(weighted ? 1 : 0);
  const std::int64_t samples = form == Form::one_bag ? 1 : draw.below(5);
  if (form == Form::ragged || form == Form::lists_of_lists) {
    part.offsets = {0};
    part.outer.resize(form == Form::ragged ? 0 : 1);
  } else if (form != Form::one_bag) {
    part.shape = form == Form::nested ? std::vector<std::int64_t>{samples, n, m}
                                      : std::vector<std::int64_t>{samples, n};
  }
  for (std::int64_t s = 0; s < samples; ++s) {
    if (form == Form::nested) {
      draw_nested(draw, layer, n, m, part);
    } else if (form == Form::lists_of_lists) {
      draw_lists(draw, layer, part);
    } else {
      draw_ids(draw, layer, form == Form::rectangle ? n : draw.below(6), part,
               part.samples.emplace_back().bags.emplace_back());
    }
    if (form == Form::ragged) {
      part.offsets.push_back(std::ssize(part.ids));
    }
  }
  if (form == Form::one_bag) {
    part.shape = {std::ssize(part.ids)};
  }
  for (std::int64_t i = 0; i < samples * layer.embedding_size; ++i) {
    part.upstream.push_back(draw.number());
  }
  return part;
}

Call draw_call(Draw& draw, const Program& program) {
  Call call;
  call.layer = static_cast<std::size_t>(draw.below(std::ssize(program.layers)));
  call.training = !draw.once_in(4);
  const LayerOptions& layer = program.layers[call.layer];
  Form form = draw.one_of<Form>(
      {Form::one_bag, Form::rectangle, Form::nested, Form::ragged, Form::lists_of_lists});
  const bool nested = form == Form::nested || form == Form::lists_of_lists;
  if (nested && layer.combiner == "std") {
    form = Form::rectangle;  // a std of stds that are equal but for rounding has no stable gradient
  }
  const bool weighable =
      layer.combiner == "sum" || layer.combiner == "mean" || layer.combiner == "sqrtn";
  const bool masked = draw.once_in(3), weighted = weighable && draw.once_in(2);
  const std::int64_t n = 1 + draw.below(4), m = 1 + draw.below(3);
  for (int rank = 0; rank < program.ranks; ++rank) {
    call.parts.push_back(draw_part(draw, layer, form, masked, weighted, n, m));
  }
  return call;
}

/// Other weights for some of the keys, each given by one rank.
std::vector<LayerWeights> draw_weights(Draw& draw, const Program& program) {
  const std::int64_t dim = program.layers[0].embedding_size;
  std::vector<LayerWeights> weights(static_cast<std::size_t>(program.ranks));
  for (LayerWeights& part : weights) {
    part.embedding_size = dim;
  }
  for (const Key key : kProgramKeys) {
    if (draw.once_in(2)) {
      LayerWeights& part = weights[static_cast<std::size_t>(draw.below(program.ranks))];
      part.keys.push_back(key);
      for (std::int64_t d = 0; d < dim; ++d) {
        part.values.push_back(draw.number());
      }
    }
  }
  return weights;
}

LayerOptions draw_layer(Draw& draw) {
  LayerOptions layer;
  layer.name = "first";
  layer.embedding_size = draw.one_of<std::int64_t>({1, 2, 3, 5, 8});
  layer.combiner = draw.one_of(combiner_names());
  layer.initializer = Uniform{-1, 1};
  layer.seed = 7;
  layer.optimizer = draw.one_of<Optimizer>(
      {Sgd{0.5f}, Momentum{0.25f, 0.5f, draw.once_in(2)}, Adagrad{0.25f, 0.5f, 1e-7f, false}});
  layer.regularization.clip_value = draw.once_in(4) ? 0.5f : 0.0f;
  layer.regularization.clip_norm = draw.once_in(4) ? 0.75f : 0.0f;
  layer.regularization.l2 = draw.once_in(4) ? 0.125f : 0.0f;
  layer.partitioner = draw.once_in(2) ? "hash" : "modulo";
  layer.missing = draw.once_in(3) ? Missing::zeros : Missing::initial;
  layer.exchange = draw.one_of<ExchangeMode>(
      {ExchangeMode::rows, ExchangeMode::reduced, ExchangeMode::automatic});
  layer.pool_order = layer.exchange == ExchangeMode::rows ? PoolOrder::bag : PoolOrder::shard;
  if (draw.once_in(3)) {
    layer.padding_id = draw.one_of(kProgramKeys);
  }
  return layer;
}

}  // namespace

Program draw_program(std::uint64_t seed) {
  Draw draw(seed);
  Program program;
  program.ranks = static_cast<int>(1 + draw.below(4));
  program.threads = draw.once_in(4) ? 2 : 1;
  program.layers.push_back(draw_layer(draw));
  if (draw.once_in(2)) {
    LayerOptions second = program.layers[0];
    second.name = "second";
    second.share = "first";
    second.combiner = draw.one_of(combiner_names());
    second.trainable = !draw.once_in(3);
    program.layers.push_back(second);
  }
  program.rounds.resize(static_cast<std::size_t>(1 + draw.below(3)));
  for (Round& round : program.rounds) {
    for (std::int64_t calls = draw.below(4); calls > 0; --calls) {
      round.calls.push_back(draw_call(draw, program));
    }
    if (draw.once_in(4)) {
      round.set = draw_weights(draw, program);
    }
  }
  return program;
}

}  // namespace keyshard::testing
