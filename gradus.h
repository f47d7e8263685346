// All of gradus: tensors and gradients, modules and optimizers, the GPT and what trains it.
#pragma once

#include <gradus/core/autograd.h>
#include <gradus/core/cpu.h>
#include <gradus/core/gradcheck.h>
#include <gradus/core/ops.h>
#include <gradus/core/parallel.h>
#include <gradus/core/tensor.h>
#include <gradus/models/dataset.h>
#include <gradus/models/generate.h>
#include <gradus/models/gpt.h>
#include <gradus/models/run_folder.h>
#include <gradus/models/tokenizer.h>
#include <gradus/models/trainer.h>
#include <gradus/nn/activation.h>
#include <gradus/nn/attention.h>
#include <gradus/nn/dropout.h>
#include <gradus/nn/embedding.h>
#include <gradus/nn/init.h>
#include <gradus/nn/linear.h>
#include <gradus/nn/mlp.h>
#include <gradus/nn/module.h>
#include <gradus/nn/norm.h>
#include <gradus/nn/optim.h>
#include <gradus/nn/safetensors.h>
#include <gradus/nn/schedule.h>
#include <gradus/nn/sequential.h>
