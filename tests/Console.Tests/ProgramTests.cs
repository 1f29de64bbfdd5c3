using System.Net;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.Testing;

namespace MailPipeline.Console.Tests;

/// <summary>The program as it runs in a cluster: a process of its own on a PostgreSQL that others use too.</summary>
public sealed class ProgramTests(ConsolePostgres postgres)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_answers_by_TLS_hears_of_what_others_do_and_stops_in_order()
    {
        var store = await postgres.Server.CreateDatabaseAsync(Cancellation);
        await using var other = await ConsoleRun.StartAsync($"ConnectionStrings:maildb={store}");
        await other.MakeAsync("ann@example.org");
        var made = Assert.IsType<TokenMade>(await other.Get<ApiTokens>().MakeAsync("ops", ApiScopes.Read, "", null, ConsoleRun.By, Cancellation));

        using var folder = new TempFolder("console");
        var (http, tls) = (FreePorts.Next(), FreePorts.Next());
        await using var program = ServerProcess.Start(
            BuiltProgram.DotNet,
            [
                BuiltProgram.Find("Console"), "--Http:Address=127.0.0.1", $"--Http:Port={http}", "--Console:TlsAddress=127.0.0.1", $"--Console:TlsPort={tls}",
                $"--Tls:SelfSignedDirectory={folder["tls"]}",
            ],
            folder.FullPath, new Dictionary<string, string?> { ["ConnectionStrings__maildb"] = store });
        await program.WaitUntilAsync(new WebProbe(new Uri($"http://127.0.0.1:{http}/")).IsReadyAsync, TimeSpan.FromSeconds(60), "Console", Cancellation);

        using var client = Requests.ConnectByTls($"https://127.0.0.1:{tls}", made.Secret);
        var (status, domains, _) = await client.AskAsync("GET domains");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("example.org", Assert.Single(domains.GetProperty("items").EnumerateArray()).GetProperty("name").GetString());
        Assert.IsType<TokenRemoved>(await other.Get<ApiTokens>().RemoveAsync("ops", ConsoleRun.By));
        Assert.Equal("401 noToken", await client.ProblemAsync("GET domains"));

        Assert.True(await program.StopAsync(TimeSpan.FromSeconds(30)), program.Output);
        Assert.Equal(0, program.ExitCode);
        Assert.DoesNotContain(made.Secret, program.Output, StringComparison.Ordinal);
    }
}
