package dev.rheostat.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.NormKind;
import dev.rheostat.config.ModelConfig.Positions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelConfigTest {
    @ParameterizedTest
    @CsvSource({"ado-nano,344", "ado-70m,1368", "ado-124m,2048", "ado-350m,2736", "ado-1.3b,5464"})
    void presetsDeriveThePapersMlpWidth(String preset, int mlpWidth) {
        ModelConfig config = ModelConfig.preset(preset).resolve(50_304);
        assertEquals(mlpWidth, config.mlpWidth());
        assertEquals(config.heads(), config.kvHeads());
        assertEquals(50_304, config.vocabulary());
        assertEquals(50_304, config.paddedVocabulary());
    }

    @Test
    void geluIsFourTimesTheModelWide() {
        assertEquals(64, config(2, 0, 16, 0, 0, Mlp.GELU).resolve(5).mlpWidth());
    }

    @Test
    void whatIsSetIsKept() {
        ModelConfig config = config(4, 2, 16, 40, 300, Mlp.SWIGLU).resolve(257);
        assertEquals(2, config.kvHeads());
        assertEquals(40, config.mlpWidth());
        assertEquals(300, config.vocabulary());
        assertEquals(384, config.paddedVocabulary());
        assertEquals((4 + 2 * 2) * 4, config.qkvWidth());
        assertEquals(80, config.mlpInWidth());
        assertEquals(config, config.resolve(257), "resolving twice changes nothing");
    }

    @ParameterizedTest
    @CsvSource({
        "5,0,256,0,0,'model.heads: 5 does not divide model.width 256'",
        "2,0,6,0,0,'model.heads: 2 makes heads of width 3 out of model.width 6; a head''s width must be even'",
        "4,3,16,0,0,'model.kvHeads: 3 does not divide model.heads 4'",
        "4,-1,16,0,0,'model.kvHeads: -1 is negative; 0 means as many as model.heads'",
        "0,0,16,0,0,'model.heads: 0 is not in 1 to model.width 16'",
        "1,0,0,0,0,'model.width: 0 is not in 2 to 65536'",
        "4,0,16,-8,0,'model.mlpWidth: -8 is not in 0 to 524288; 0 derives it from model.width'",
        "4,0,16,0,99,'model.vocabulary: 99 is less than the tokenizer''s 257 ids; 0 takes the tokenizer''s'",
        "4,0,16,0,5000000,'model.vocabulary: 5000000 is not in 2 to 4194304'",
    })
    void refusalsNameTheKey(int heads, int kvHeads, int width, int mlpWidth, int vocabulary, String sentence) {
        ModelConfig config = config(heads, kvHeads, width, mlpWidth, vocabulary, Mlp.SWIGLU);
        RheostatException refusal = assertThrows(RheostatException.class, () -> config.resolve(257));
        assertEquals(sentence, refusal.getMessage());
        assertEquals(RheostatException.Kind.BAD_REQUEST, refusal.kind());
    }

    @Test
    void rotaryPositionsNeedABase() {
        ModelConfig config = new ModelConfig(
                "", 1, 2, 0, 8, 0, 8, 0, NormKind.RMS, false, true, Mlp.SWIGLU, false, Positions.ROTARY, 0, true);
        RheostatException refusal = assertThrows(RheostatException.class, () -> config.resolve(257));
        assertTrue(refusal.getMessage().startsWith("model.rotaryBase: 0.0"), refusal::getMessage);
    }

    private static ModelConfig config(int heads, int kvHeads, int width, int mlpWidth, int vocabulary, Mlp mlp) {
        return new ModelConfig(
                "",
                2,
                heads,
                kvHeads,
                width,
                mlpWidth,
                16,
                vocabulary,
                NormKind.RMS,
                false,
                true,
                mlp,
                false,
                Positions.ROTARY,
                10_000,
                true);
    }
}
