package dev.rheostat.op;

/** x[r] = table[tokens[r]] (+ positions[r mod T]). Tokens are i32 in [0, V); checked when the slot was filled. */
public interface Embedding<X extends Tensor> {
    /** @param positions_TC learned positions, or null */
    void forward(X x_RC, X tokens_R, X table_VC, X positions_TC);

    /** dTable and dPositions (null for none) are added to, rows in fixed order. */
    void backward(X dTable_VC, X dPositions_TC, X dx_RC, X tokens_R);
}
