using System.Diagnostics;
using System.Globalization;

namespace MailPipeline.Testing;

/// <summary>
/// Tries inputs of a folder of tests/Fuzz and thousands that are made of them: those that led to answers not seen before become the ground for more, and one
/// that fails is written beside them, as small as it can be made.
/// </summary>
/// <param name="kind">The folder.</param>
/// <param name="words">Of its protocol (<see cref="FuzzInputs"/>).</param>
/// <param name="tryAsync">What is wrong with what comes of an input, null where nothing is; and the shape of the answers, by which new ones are known.</param>
public sealed class FuzzSearch(string kind, IEnumerable<string> words, Func<byte[], Task<(string? Fault, string Shape)>> tryAsync)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(20);

    private static readonly string s_hangs = $"hangs for {s_longest}";

    /// <summary>How long a search goes on that is to find more: MAILPIPELINE_SOAK_MINUTES, else an hour.</summary>
    public static TimeSpan SoakTime => TimeSpan.FromMinutes(
        double.TryParse(Environment.GetEnvironmentVariable("MAILPIPELINE_SOAK_MINUTES"), CultureInfo.InvariantCulture, out var given) ? given : 60);

    public Task<FuzzResult> RunAsync(int inputs, CancellationToken cancellation) => RunAsync(tried => tried < inputs, cancellation);

    public Task<FuzzResult> RunAsync(TimeSpan time, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        return RunAsync(_ => Stopwatch.GetElapsedTime(started) < time, cancellation);
    }

    /// <summary>What is wrong with what comes of an input; null: nothing.</summary>
    public async Task<string?> FaultOfAsync(byte[] input, CancellationToken cancellation) => (await TryAsync(input, cancellation)).Fault;

    private async Task<FuzzResult> RunAsync(Func<int, bool> goesOn, CancellationToken cancellation)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("MAILPIPELINE_TEST_SEED"), out var given) ? given : Random.Shared.Next();
        var inputs = new FuzzInputs(kind, words, seed);
        var seen = new HashSet<string>();
        var tried = 0;
        for (; goesOn(tried); tried++)
        {
            var input = inputs.Next();
            var (fault, shape) = await TryAsync(input, cancellation);
            if (fault is not null)
            {
                // One that hangs is kept as it is: each step to make it smaller would hang as well.
                var path = await inputs.WriteAsync(input, async shorter => fault != s_hangs && (await TryAsync(shorter, cancellation)).Fault is not null);
                return new FuzzResult($"seed {seed}, input {tried}, kept as {path}: {fault}", seed, tried, seen.Count);
            }

            if (seen.Add(shape))
                inputs.Keep(input);
        }

        return new FuzzResult(null, seed, tried, seen.Count);
    }

    private async Task<(string? Fault, string Shape)> TryAsync(byte[] input, CancellationToken cancellation)
    {
        try
        {
            return await Task.Run(() => tryAsync(input), cancellation).WaitAsync(s_longest, cancellation);
        }
        catch (TimeoutException)
        {
            return (s_hangs, "");
        }
#pragma warning disable CA1031 // Whatever is thrown is what is looked for.
        catch (Exception thrown) when (!cancellation.IsCancellationRequested)
#pragma warning restore CA1031
        {
            return ($"{thrown}", "");
        }
    }
}

/// <summary>What a search has found.</summary>
/// <param name="Fault">With the seed and the file that shows it; null: nothing.</param>
/// <param name="Tried">Inputs.</param>
/// <param name="Shapes">Different answers.</param>
public sealed record FuzzResult(string? Fault, int Seed, int Tried, int Shapes)
{
    public override string ToString() => $"seed {Seed}: {Tried} inputs, {Shapes} different answers";
}
