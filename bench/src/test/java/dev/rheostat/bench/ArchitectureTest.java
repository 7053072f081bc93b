package dev.rheostat.bench;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.core.importer.Location;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** The arrows of the design: trainer to kernels to native, trainer to ado to nothing, bench to all; and no cycle of packages. */
@AnalyzeClasses(
        packages = "dev.rheostat",
        importOptions = {ImportOption.DoNotIncludeTests.class, ArchitectureTest.NoTestJars.class})
class ArchitectureTest {
    /** Test classes that a module hands to others come as a jar, which ArchUnit does not know for tests. */
    static final class NoTestJars implements ImportOption {
        @Override
        public boolean includes(Location location) {
            return !location.contains("-tests.jar");
        }
    }

    private static final String[] TRAINER = {
        "dev.rheostat.config..",
        "dev.rheostat.data..",
        "dev.rheostat.model..",
        "dev.rheostat.optim..",
        "dev.rheostat.train..",
        "dev.rheostat.report..",
        "dev.rheostat.compare..",
        "dev.rheostat.testbed..",
        "dev.rheostat.cli.."
    };

    @ArchTest
    static final ArchRule ADO_SEES_THE_JDK_ALONE = classes()
            .that()
            .resideInAPackage("dev.rheostat.ado..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("java..", "dev.rheostat.ado..");

    @ArchTest
    static final ArchRule NATIVE_KNOWS_NOTHING_ABOVE_IT = classes()
            .that()
            .resideInAPackage("dev.rheostat.ffi..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("java..", "dev.rheostat.ffi..");

    @ArchTest
    static final ArchRule CUDA_KNOWS_NOTHING_ABOVE_IT = classes()
            .that()
            .resideInAPackage("dev.rheostat.cuda..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("java..", "jcuda..", "dev.rheostat.cuda..", "dev.rheostat.ffi..");

    @ArchTest
    static final ArchRule JCUDA_STAYS_IN_ITS_BINDING = noClasses()
            .that()
            .resideOutsideOfPackage("dev.rheostat.cuda.jcuda..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("jcuda..");

    @ArchTest
    static final ArchRule CUDA_IS_SEEN_BY_THE_CUDA_OPS = noClasses()
            .that()
            .resideOutsideOfPackages("dev.rheostat.cuda..", "dev.rheostat.op.cuda..", "dev.rheostat.bench..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("dev.rheostat.cuda..");

    @ArchTest
    static final ArchRule DOWNCALLS_ARE_SEEN_BELOW_THE_SEAM = noClasses()
            .that()
            .resideOutsideOfPackages(
                    "dev.rheostat.ffi..",
                    "dev.rheostat.cuda..",
                    "dev.rheostat.op.cpu..",
                    "dev.rheostat.op.cuda..",
                    "dev.rheostat.bench..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("dev.rheostat.ffi..");

    @ArchTest
    static final ArchRule CPU_AND_CUDA_OPS_NEVER_MEET = noClasses()
            .that()
            .resideInAPackage("dev.rheostat.op.cpu..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("dev.rheostat.op.cuda..");

    @ArchTest
    static final ArchRule KERNELS_SEE_NATIVE_AND_NO_TRAINER = classes()
            .that()
            .resideInAPackage("dev.rheostat.op..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage(
                    "java..",
                    "jdk.incubator.vector..",
                    "com.sun.management..",
                    "dev.rheostat.op..",
                    "dev.rheostat.cuda..",
                    "dev.rheostat.ffi..");

    @ArchTest
    static final ArchRule THE_TRAINER_REACHES_NATIVE_THROUGH_KERNELS = noClasses()
            .that()
            .resideInAnyPackage(TRAINER)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("dev.rheostat.ffi..", "dev.rheostat.cuda..", "jcuda..");

    @ArchTest
    static final ArchRule ONE_CLASS_OF_THE_TRAINER_CHOOSES_A_DEVICE = noClasses()
            .that()
            .resideInAnyPackage(TRAINER)
            .and()
            .doNotHaveSimpleName("Backends")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("dev.rheostat.op.cpu..", "dev.rheostat.op.cuda..");

    @ArchTest
    static final ArchRule NOTHING_SEES_BENCH = noClasses()
            .that()
            .resideOutsideOfPackage("dev.rheostat.bench..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("dev.rheostat.bench..");

    @ArchTest
    static final ArchRule NOTHING_BUT_BENCH_SEES_THE_COMMAND_LINE = noClasses()
            .that()
            .resideOutsideOfPackages("dev.rheostat.cli..", "dev.rheostat.bench..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("dev.rheostat.cli..");

    @ArchTest
    static final ArchRule NO_CYCLES =
            slices().matching("dev.rheostat.(*)..").should().beFreeOfCycles();
}
