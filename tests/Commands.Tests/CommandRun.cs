using System.Text.Json;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Commands.Tests;

/// <summary>Runs commands in this process, on a data folder that lives as long as a test.</summary>
internal sealed class CommandRun : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("mailpipeline-test-").FullName;

    public string DataFolder => Path.Combine(Folder, "data");

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>Runs with <c>--data</c> of this folder; the input is what stands on standard input.</summary>
    /// <param name="columns">The width of a screen; null for a pipe.</param>
    public async Task<CommandResult> RunAsync(
        string line, string input = "", Func<string, string?>? prompt = null, int? columns = null, params string[] settings)
    {
        using var reader = new StringReader(input);
        using var output = new StringWriter();
        using var error = new StringWriter();
        string[] words = [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--data", DataFolder, .. settings];
        var exitCode = await CommandLine.RunAsync(words, new Terminal(reader, output, error, prompt, columns), TestContext.Current.CancellationToken);
        return new CommandResult(exitCode, output.ToString().ReplaceLineEndings("\n").TrimEnd(), error.ToString().ReplaceLineEndings("\n").TrimEnd());
    }

    /// <summary>Runs with <c>--json</c>: nothing but one object is written.</summary>
    public async Task<(int ExitCode, JsonElement Json)> RunJsonAsync(string line, string input = "")
    {
        var (exitCode, output, error) = await RunAsync(line + " --json", input);
        Assert.Equal("", error);
        Assert.DoesNotContain('\n', output);
        return (exitCode, JsonDocument.Parse(output).RootElement);
    }

    /// <summary>The store of the folder, as a server has it.</summary>
    public ServiceProvider OpenServices() => new ServiceCollection().AddLogging().AddMetrics()
        .AddMailStorage(new StorageOptions { ConnectionString = $"Data Source={Path.Combine(DataFolder, "mail.db")}" }).BuildServiceProvider();
}

internal sealed record CommandResult(int ExitCode, string Output, string Error)
{
    public void ShouldBeDone(string output) => Assert.Equal(new CommandResult(0, output, ""), this);

    public void ShouldNotBeDone(string error) => Assert.Equal(new CommandResult(1, "", error), this);
}
