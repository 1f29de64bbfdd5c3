using System.Diagnostics;

namespace MailPipeline.Standalone;

/// <summary>The program with the operator's commands, which is built and published beside this one.</summary>
internal static class MailProgram
{
    private static readonly string s_path = Path.Combine(AppContext.BaseDirectory, "mail");

    private static bool IsRunByDotNet => Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet";

    /// <summary>How it is started, as typed in a shell.</summary>
    public static string Shown => IsRunByDotNet ? $"dotnet {Greeting.Quote(s_path + ".dll")}" : Greeting.Quote(s_path);

    /// <summary>Runs one of its commands.</summary>
    /// <returns>What it said.</returns>
    public static async Task<string> RunAsync(IEnumerable<string> words, CancellationToken cancellation)
    {
        var start = IsRunByDotNet
            ? new ProcessStartInfo(Environment.ProcessPath!, [s_path + ".dll", .. words])
            : new ProcessStartInfo(s_path, words);
        start.RedirectStandardOutput = true;
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{s_path} did not start");
        var said = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        return said;
    }
}
