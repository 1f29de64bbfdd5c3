using System.Text.Json;

namespace MailPipeline.Console.Tests;

/// <summary>The document of the API is what is kept in docs: a change of it is said.</summary>
public sealed class DocumentTests
{
    private const string Renew = "RENEW_OPENAPI";

    private static readonly JsonSerializerOptions s_readable = new() { WriteIndented = true };

    [Fact]
    public async Task The_document_is_the_one_that_is_kept()
    {
        await using var run = await ConsoleRun.StartAsync();
        var (_, document, _) = await run.Http.AskAsync("GET openapi.json");
        Assert.StartsWith("3.1", document.GetProperty("openapi").GetString(), StringComparison.Ordinal);
        var text = JsonSerializer.Serialize(document, s_readable).ReplaceLineEndings("\n") + "\n";
        var path = Testing.BuiltProgram.FindInRepository("docs/openapi.json");
        if (Environment.GetEnvironmentVariable(Renew) is not null)
            await File.WriteAllTextAsync(path, text, TestContext.Current.CancellationToken);
        Assert.True(
            text == (File.Exists(path) ? await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken) : ""),
            $"docs/openapi.json is not what the code says; where that is meant, run this test with {Renew}=1 and commit the file");
    }
}
