"""What a system of given sizes has and needs, without its weights and without a GPU: parameters, memory, storage.

geometry             the sizes that checkpoints' configurations give, and the fusion that fits them (no torch)
networks             the components on the meta device
peak                 peak memory of a computation, traced on tensors without memory
training, inference  what is traced: a step of each phase, a clip through the whole
storage              bytes of a clip's cached features and latents
"""
