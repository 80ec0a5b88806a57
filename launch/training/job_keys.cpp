#include "launch/training/job_keys.hpp"

namespace keyshard {
namespace {

constexpr KeyMeaning kSectionKeys[] = {
    {"config_version", "", "of the keys; this version of keyshard reads 1"},
    {"job", "", "how long a job runs, and what it does beside training"},
    {"data", "", "files, and what their columns are"},
    {"model", "", "the dense part: network, loss, optimizer"},
    {"embedding", "", "defaults of all tables of rows"},
    {"tables", "", "what single tables have instead"},
    {"checkpoint", "", "what is saved, and when"},
};

constexpr KeyTable kSection{"Sections", "", kSectionKeys};

constexpr KeyMeaning kJobKeys[] = {
    {"output", "path", "folder of metrics, checkpoints and indices"},
    {"seed", "", "of initial values, the order of samples, and dropout"},
    {"epochs", "epochs", "to train"},
    {"steps", "steps", "in all, in place of `epochs`; 0: as many as the epochs have"},
    {"batch_size", "samples", "of a step, over all ranks; a multiple of `slices`"},
    {"slices", "", "parts of a batch whose sums have a fixed order: a power of two"},
    {"threads", "threads", "of a rank; 0: as many as it has cores"},
    {"overlap", "batches",
     "whose ids travel to the owners of their rows while the step before them runs, by a thread of "
     "its own; no result depends on it; 0: none"},
    {"numerics", "",
     "the code path of dense products: the widest of the processor, or AVX2 on any processor"},
    {"evaluate_every_steps", "steps", "0: by epochs alone"},
    {"evaluate_every_epochs", "epochs", "and after the last step; 0: never"},
    {"schedule", "", "factor of all learning rates, by default 1", "{ type = \"cosine\" }"},
    {"patience", "evaluations", "without a better metric before the job stops; 0: never"},
    {"decay", "", "factor of all learning rates where the metric has not become better"},
    {"decay_patience", "evaluations", "without a better metric before each decay"},
    {"least_decay", "", "lower bound of the product of all decays"},
    {"metric", "", "by which evaluations are compared"},
    {"unseen", "names of columns",
     "evaluations also show the metrics of samples whose ids of these columns, together, are in no "
     "positive sample of training"},
    {"metrics", "", "what evaluations show beside the metrics of all samples",
     "{ gauc = \"NAME\", by = \"NAME\" }"},
    {"drop_last", "", "whether the last batch of an epoch is left out where it is not full"},
    {"report_every_steps", "steps", "from one line of metrics.jsonl to the next"},
    {"report_every_seconds", "seconds",
     "from one shown step to the next; 0: 1 on a terminal; elsewhere 1 at first, growing to 60"},
    {"tensorboard", "", "whether the numbers of metrics.jsonl are written for TensorBoard, too",
     "true"},
    {"watchdog_seconds", "seconds",
     "after which a rank that does not go on ends the job with 70; 0: never"},
    {"start_seconds", "seconds", "within which all ranks must have met; 0: any time"},
};

constexpr KeyTable kJob{"Job", "", kJobKeys};

constexpr KeyMeaning kMetricsKeys[] = {
    {"gauc", "name of a column", "whose ids are the groups of GAUC"},
    {"by", "name of a column", "for each id of which all metrics are shown, too"},
    {"most", "ids", "that are shown, those with the most samples", "20"},
};

constexpr KeyTable kMetrics{"Metrics", "", kMetricsKeys};

constexpr KeyMeaning kScheduleKeys[] = {
    {"type", "", "the curve of the factor"},
    {"warmup_steps", "steps", "in which the factor rises to 1"},
    {"factor", "", "of each fall"},
    {"every_steps", "steps", "from one fall to the next; exponential: in which one fall is spread"},
    {"steps", "steps",
     "at whose end the curve is down; 0: those of the job, which a job that will be prolonged "
     "should give"},
    {"least", "", "lower bound of the factor"},
};

constexpr KeyTable kSchedule{"Learning rates", "A text is the type alone.", kScheduleKeys};

constexpr KeyMeaning kCheckpointKeys[] = {
    {"every_steps", "steps", "from one save to the next; 0: none between"},
    {"at_end", "", "whether the last step is saved"},
    {"best", "", "whether the best step is saved, by default where job.patience is above 0"},
    {"best_every_seconds", "seconds",
     "from the write of one best step to that of the next; a small state (64 MiB a rank) waits in "
     "memory meanwhile, or for the next save; 0: each is written at once"},
    {"keep", "checkpoints", "beside the best one; older ones are removed"},
    {"on_failure", "", "whether a save that fails ends the job; one at the end does so always"},
};

constexpr KeyTable kCheckpoint{"Checkpoints", "", kCheckpointKeys};

constexpr KeyMeaning kModelKeys[] = {
    {"type", "", "the model"},
    {"hidden", "units", "of each hidden layer; in dlrm: of the top network"},
    {"bottom", "units", "of each hidden layer of the bottom network of dlrm"},
    {"cross_layers", "layers", "of products with the input, of dcnv2"},
    {"cross_rank", "", "of the matrices of cross layers; 0: full"},
    {"structure", "",
     "whether the hidden layers of dcnv2 stand behind the cross layers or beside them"},
    {"batch_norm", "", "whether hidden layers have batch norm"},
    {"batch_norm_momentum", "", "what a step keeps of the running statistics"},
    {"dropout", "share", "of the units of each hidden layer that a step leaves out"},
    {"l2", "", "l2 W is added to the gradient of every matrix of weights W"},
    {"loss", "", "what is minimised"},
    {"optimizer", "", "of the dense part: any but rowwise_adagrad and lamb, which need rows"},
};

constexpr KeyTable kModel{"Model", "", kModelKeys};

}  // namespace

const KeyTable& section_keys() { return kSection; }

const KeyTable& job_keys() { return kJob; }

const KeyTable& metrics_keys() { return kMetrics; }

const KeyTable& schedule_keys() { return kSchedule; }

const KeyTable& checkpoint_keys() { return kCheckpoint; }

const KeyTable& model_keys() { return kModel; }

}  // namespace keyshard
