"""The maths, by hand: forward and backward through time of RNN, GRU and LSTM.

Nothing here prints, opens files or owns a random generator. Read in this order:

    linear.py     y = W x + b for real vectors and for symbols (a one-hot look-up)
    rnn.py        the vanilla cell        gru.py, lstm.py   the gated ones, with sigmoid.py
    network.py    cells stacked between an input and a softmax head
    masks.py      dropout of signals and weights                     penalties.py  what the last layer puts out
    loss.py       cross-entropy in nats and its gradient
    init.py       how weights start       gradcheck.py      derivatives by differences
    optimizers.py the update rules        clipping.py       the gradient kept within limits

Letters, everywhere: T time steps in a chunk, B streams in a batch, V symbols in the
vocabulary, E size of the embedding, H hidden units in a layer, L layers, S arrays in a
cell's state (2 for the LSTM's h and c, 1 for the others). Arrays of a chunk are (T, B, …).
"""
