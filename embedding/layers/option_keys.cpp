#include "embedding/layers/option_keys.hpp"

namespace keyshard {
namespace {

constexpr KeyMeaning kGroupKeys[] = {
    {"dim", "numbers", "of an embedding"},
    {"initializer", "", "what a row holds before its first step"},
    {"optimizer", "", "of the rows; of linear weights too, unless [embedding.linear] has its own"},
    {"combiner", "", "how the rows of a bag become one vector"},
    {"activity_regularizer", "",
     "a penalty on the pooled vectors, divided by the batch: part of the loss and of the gradient",
     "{ type = \"l1_l2\" }"},
    {"l2", "", "l2 w is added to the gradient of each row that a step touches, after the clips"},
    {"l2_per", "", "`occurrence`: times the share of the batch's samples that have the key"},
    {"weight_decay", "",
     "the part of a row, times the learning rate, that a step takes off before the optimizer's own "
     "step"},
    {"clip_value", "", "bound of each number of a gradient, summed over the batch; 0: none"},
    {"clip_norm", "", "bound of the norm of a gradient, summed over the batch; 0: none"},
    {"max_norm", "",
     "bound of the norm of a row, by default none; the gradient of a row at the bound loses its "
     "part along the row",
     "1.0"},
};

constexpr KeyTable kGroup{
    "Values of rows",
    "[embedding] has the defaults of every table, [tables.NAME] what one table has instead. The "
    "tables named linear describe the linear weights of ids, one number each; where they are "
    "silent, optimizer, l2 and l2_per are those of the table around them.",
    kGroupKeys};

constexpr KeyMeaning kTableKeys[] = {
    {"linear", "", "the linear weights of ids, of models that have some"},
    {"partitioner", "",
     "which of the 1,024 shards a key belongs to: by its hash, or by its remainder"},
    {"exchange", "",
     "whether owners answer with rows, with sums of bags, or with what has fewer bytes"},
    {"pool_order", "",
     "in which order a bag is added: as it stands, or by shards, which `reduced` and `auto` need"},
    {"missing", "",
     "what a key without a row reads as where records are scored: its initial values, or zeros"},
    {"bp_v2", "",
     "whether rows are written by increment, which changes no result where the job is the only "
     "writer"},
    {"init_capacity", "rows", "to make room for, over all ranks"},
    {"trainable", "", "whether rows are trained"},
    {"key_dtype", "", "of ids: int64 (the default) or uint64, for ids of data have 64 bits",
     "\"int64\""},
    {"value_dtype", "",
     "how values are kept and travel: float32 (the default), float16, bfloat16 or float64; states "
     "and sums are float32, or float64 where values are",
     "\"float16\""},
    {"dtype_policy", "",
     "what outputs and upstream gradients are rounded to, by default that of value_dtype: float32, "
     "float16, bfloat16, mixed_float16, mixed_bfloat16, or float64, of which a model gets float32",
     "\"mixed_float16\""},
    {"devices", "",
     "the ranks that own the rows, by default all; gpu:RANK in a job on GPUs; results do not "
     "depend on them",
     "[\"cpu:0\", \"cpu:1\"]"},
    {"empty_bag", "",
     "what a bag without ids gives: zeros, or what TensorFlow reduces an empty list to"},
    {"restrict_policy", "",
     "which rows stay where there are more than `max_rows`: those trained last (by step, or by the "
     "clock), or in most steps"},
    {"max_rows", "rows", "over all ranks; 0: no limit"},
    {"restrict_every", "steps", "from one look at the number of rows to the next"},
    {"admit_after", "steps",
     "in which a key has a gradient before it gets a row; 0 and 1: at once"},
    {"admit_probability", "", "that such a step gives the key its row"},
    {"kv_creator", "", "where rows live, by default in the memory of the ranks",
     "{ type = \"tiered\", fast_bytes = 1048576, slow = { type = \"rocksdb\", path = \"rows\" } }"},
};

constexpr KeyTable kTable{
    "Tables of rows",
    "[embedding] has the defaults of every table, [tables.NAME] what one table has instead.",
    kTableKeys};

constexpr KeyMeaning kNamedTableKeys[] = {
    {"seed", "", "of initial values; by default a hash of job.seed and the name", "7"},
    {"pretrained", "path",
     "first rows of a new job: a text with a line per key, a folder with keys.npy and values.npy, "
     "a checkpoint, or a job (docs/data.md)",
     "\"vectors.txt\""},
};

constexpr KeyTable kNamedTable{"One table", "", kNamedTableKeys};

constexpr KeyMeaning kFeatureKeys[] = {
    {"combiner", "", "how the rows of a bag become one vector"},
    {"activity_regularizer", "", "a penalty on the pooled vectors, divided by the batch",
     "{ type = \"l1_l2\" }"},
    {"trainable", "", "false: this column changes no row, state or status"},
    {"empty_bag", "", "what a bag without ids gives"},
};

constexpr KeyTable kFeature{
    "Columns of ids",
    "Where a column has none of these, those of [tables.NAME] hold, then those of [embedding].",
    kFeatureKeys};

constexpr KeyMeaning kActivityKeys[] = {
    {"type", "", "of the penalty"},
    {"l1", "", "times the sum of sizes"},
    {"l2", "", "times the sum of squares"},
};

constexpr KeyTable kActivity{"Activity regularizers", "", kActivityKeys};

}  // namespace

const KeyTable& group_keys() { return kGroup; }

const KeyTable& table_keys() { return kTable; }

const KeyTable& named_table_keys() { return kNamedTable; }

const KeyTable& feature_keys() { return kFeature; }

const KeyTable& activity_keys() { return kActivity; }

}  // namespace keyshard
