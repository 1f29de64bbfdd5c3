using System.Net;
using System.Net.Sockets;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;

namespace MailPipeline.Standalone.Tests;

public sealed class ServerTests : IDisposable
{
    private readonly DataFolderRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task It_says_what_listens_where_is_ready_takes_commands_beside_and_ends_at_SIGTERM()
    {
        var http = FreePorts.Next();
        await using var server = ServerProcess.Start(_run.Folder, [.. ServerProcess.PortSettings(), $"--Http:Port={http}"]);

        Assert.Equal($"MailPipeline runs; its data is in {_run.DataFolder}", await server.ReadUntilAsync("MailPipeline runs"));
        Assert.Equal($"  Settings would be read from {Path.Combine(_run.Folder, "appsettings.json")}", await server.ReadUntilAsync("Settings"));
        await server.ReadUntilAsync($"127.0.0.1:{http}");
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{http}") };
        Assert.StartsWith("Healthy", await GetAsync(client, "/health/ready"), StringComparison.Ordinal);
        Assert.StartsWith("Healthy", await GetAsync(client, "/health/live"), StringComparison.Ordinal);
        // There before anything has happened: of a counter that begins with its first event no alarm sees that one.
        foreach (var counter in new[]
        {
            "mailpipeline_queue_uncertain_total", "mailpipeline_queue_forgotten_total", "mailpipeline_queue_batches_lost_total",
            "mailpipeline_delivery_uncertain_total", "mailpipeline_delivery_unrecorded_total", "mailpipeline_storage_commit_failures_total",
        })
        {
            Assert.Matches($@"(?m)^{counter}\b.* 0\b", await GetAsync(client, "/metrics"));
        }

        Assert.StartsWith("example.org added", (await _run.MailAsync("domain", "add", "example.org")).Output, StringComparison.Ordinal);

        Assert.Equal(0, await server.TerminateAsync());
    }

    [Fact]
    public async Task Without_a_host_name_it_gives_a_full_name_or_an_address_and_says_so_once()
    {
        using var farEnd = new TcpListener(IPAddress.Loopback, 0);
        farEnd.Start();
        var added = FreePorts.Next();
        await using var server = ServerProcess.Start(_run.Folder,
        [
            .. ServerProcess.PortSettings(), "--Ingress:RelayClients:0=127.0.0.1", $"--Delivery:Routes=*={farEnd.LocalEndpoint}",
            "--Ingress:Listeners:2:Kind=Submission", $"--Ingress:Listeners:2:Port={added}", "--Ingress:Listeners:2:Tls=Implicit",
        ]);
        // The log and what is written for people come in either order; the greeting ends with "Or see a whole tour".
        List<string> lines = [];
        while (!lines.Any(line => line.Contains("Not set: ", StringComparison.Ordinal)) || !lines.Any(line => line.Contains("whole tour", StringComparison.Ordinal)))
            lines.Add(await server.ReadUntilAsync(""));
        Assert.Matches("Not set: Queue:HostName, Delivery:HostName, Ingress:HostName\\. This system calls itself ", lines.Single(line => line.Contains("Not set: ", StringComparison.Ordinal)));
        // With what holds where nothing was said of it.
        Assert.Contains(lines, line => line.Contains($"  SMTP  127.0.0.1:{added,-6} submission, TLS", StringComparison.Ordinal));
        // "SMTP  127.0.0.1:2525 mx, STARTTLS"
        var port = int.Parse(lines.First(line => line.Contains("  SMTP  ", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1].Split(':')[1], null);

        const string Name = @"([a-z0-9-]+(\.[a-z0-9-]+)+|\[[0-9a-fIPv.:]+\])";
        using var client = new TcpClient("127.0.0.1", port);
        using var reader = new StreamReader(client.GetStream());
        Assert.Matches($"^220 {Name} ESMTP$", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        await client.GetStream().WriteAsync(
            "EHLO x.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { } line && !line.StartsWith("354", StringComparison.Ordinal))
            Assert.StartsWith("2", line, StringComparison.Ordinal);
        await client.GetStream().WriteAsync("Subject: x\r\n\r\n.\r\n"u8.ToArray(), TestContext.Current.CancellationToken);

        using var delivery = await farEnd.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        await delivery.GetStream().WriteAsync("220 far.example ESMTP\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        using var hello = new StreamReader(delivery.GetStream());
        Assert.Matches($"^EHLO {Name}$", await hello.ReadLineAsync(TestContext.Current.CancellationToken));

        Assert.Equal(0, await server.TerminateAsync());
        Assert.DoesNotContain("Not set: ", await server.Output.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    /// <summary>'dotnet run --project' is typed anywhere: data and settings are those of who types it.</summary>
    [Fact]
    public async Task Dotnet_run_works_in_the_folder_of_its_caller()
    {
        await File.WriteAllTextAsync(_run.DataFolder, "", TestContext.Current.CancellationToken);
        await using var unusable = ServerProcess.DotNetRun(_run.Folder);
        Assert.Contains($"'{_run.DataFolder}'", (await unusable.EndAsync()).Error, StringComparison.Ordinal);
        File.Delete(_run.DataFolder);

        await File.WriteAllTextAsync(Path.Combine(_run.Folder, "appsettings.json"), """{ "Queue": { "MaxAge": "soon" } }""");
        await using var misset = ServerProcess.DotNetRun(_run.Folder, ServerProcess.PortSettings());
        Assert.StartsWith("Queue:MaxAge is 'soon'; it must be a time", (await misset.EndAsync()).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("domain", "add", "example.org")]
    [InlineData("queue")]
    [InlineData("nonsense")]
    public async Task What_the_operators_program_does_is_not_done_here_and_it_is_named(params string[] words)
    {
        await using var server = ServerProcess.Start(_run.Folder, words);
        Assert.Equal(
            new ProgramResult(2, "", $"There is no command '{words[0]}' here; the program {Path.Combine(AppContext.BaseDirectory, "mail")} has the operator's. 'help' shows what there is."),
            await server.EndAsync());
        Assert.Empty(Directory.GetFileSystemEntries(_run.Folder));
    }

    [Theory]
    [InlineData("help")]
    [InlineData("demo", "--help")]
    public async Task Help_names_what_there_is_and_the_operators_program(params string[] words)
    {
        await using var server = ServerProcess.Start(_run.Folder, words);
        var result = await server.EndAsync();
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        foreach (var word in new[] { "demo", "version", "--data", "--port-offset", Path.Combine(AppContext.BaseDirectory, "mail") })
            Assert.Contains(word, result.Output, StringComparison.Ordinal);
    }

    /// <summary>What a terminal sends that closes, and an operator who wants something read again.</summary>
    [Fact]
    public async Task SIGHUP_reads_again_what_can_be_and_ends_nothing()
    {
        var settings = Path.Combine(_run.Folder, "appsettings.json");
        await File.WriteAllTextAsync(settings, """{ "Logging": { "LogLevel": { "MailPipeline": "Information" } } }""");
        await using var server = ServerProcess.Start(_run.Folder, ServerProcess.PortSettings());
        await server.ReadUntilAsync("MailPipeline runs");

        await server.SignalAsync("HUP");
        await server.ReadUntilAsync("SIGHUP: log levels and the directory are read again");
        await server.ReadUntilAsync("SIGHUP: the TLS certificate was looked at again");

        // What cannot be read changes nothing.
        await File.WriteAllTextAsync(settings, """{ "Logging": { "LogLevel": { "MailPipeline": "Loud" } } }""");
        await server.SignalAsync("HUP");
        await server.ReadUntilAsync("not read again, what was before stays: Logging:LogLevel:MailPipeline is 'Loud'");

        // What the next start would refuse.
        foreach (var (content, fault) in new[]
        {
            ("""{ "Ingress": { "Bogus": 1 } }""", "There is no setting 'Ingress:Bogus'"), ("""{ "Storage": { "Bogus": 1 } }""", "There is no setting 'Storage:Bogus'"),
            ("""{ "Ingress": { "Bogus": 1 }, "Delivery": { "Bogus": 1 } }""", "There is no setting '"),
            ("""{ "Queue": { "MaxAge": "soon" } }""", "Queue:MaxAge is 'soon'"), ("""{ "Bogus": { } }""", "appsettings.json has a section 'Bogus'"),
        })
        {
            await File.WriteAllTextAsync(settings, content);
            await server.SignalAsync("HUP");
            await server.ReadUntilAsync($"not read again, what was before stays: {fault}");
        }

        Assert.Equal(0, await server.TerminateAsync());
    }

    [Fact]
    public async Task A_second_process_on_the_same_folder_is_refused()
    {
        await using var first = ServerProcess.Start(_run.Folder, ServerProcess.PortSettings());
        await first.ReadUntilAsync("MailPipeline runs");

        await using var second = ServerProcess.Start(_run.Folder, ServerProcess.PortSettings());
        var result = await second.EndAsync();

        Assert.Equal(
            new ProgramResult(2, "", "--data is 'data', on which another process is running already; stop it, or choose another folder"), result);
    }

    [Theory]
    [InlineData("Http:Port")]
    [InlineData("Ingress:Listeners:0:Port")]
    [InlineData("Ingress:Listeners:1:Port")]
    [InlineData("Mailbox:Listeners:0:Port")]
    [InlineData("Queue:SiloPort")]
    public async Task A_port_in_use_names_its_setting(string setting)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;

        await ShouldNotStartAsync($"{setting} is {port}, a port in use by another process", $"--{setting}={port}");
    }

    [Theory]
    [InlineData("--Http:Port=70000", "Http:Port is '70000'; must be between 0 and 65535")]
    [InlineData("--Http:Port=x", "Http:Port is 'x'; it must be a whole number")]
    [InlineData("--Ingress:Listeners:0:Kind=Foo", "Ingress:Listeners:0:Kind is 'Foo'; it must be one of Mx, Submission")]
    [InlineData("--Queue:MaxAge=soon", "Queue:MaxAge is 'soon'; it must be a time such as 5m")]
    [InlineData("--Logging:LogLevel:Default=Foo", "Logging:LogLevel:Default is 'Foo'; it must be one of Trace, Debug")]
    [InlineData("--Logging:Foo=1", "There is no setting 'Logging:Foo'; there is Logging:LogLevel:CATEGORY")]
    [InlineData("--ConnectionStrings:mialdb=x", "There is no connection string named 'ConnectionStrings:mialdb'")]
    [InlineData("--Http:Prot=1", "There is no setting 'Http:Prot'; Http has Address, Port")]
    [InlineData("--Mailbox:MaxConnection=1", "There is no setting 'Mailbox:MaxConnection'; Mailbox has Listeners, ")]
    [InlineData("--Ingress:Listeners:0:Prot=25", "There is no setting 'Ingress:Listeners:0:Prot'; Ingress:Listeners:0 has Name, Kind, Address, Port, Socket, SocketMode, Tls, Auth")]
    [InlineData("--Mailbox:Listeners:0:Prot=25", "There is no setting 'Mailbox:Listeners:0:Prot'; Mailbox:Listeners:0 has Name, Address, Port, Tls")]
    [InlineData("--Ingress:Listeners:Port=25", "There is no setting 'Ingress:Listeners:Port'; Ingress:Listeners is a list, its entries are Ingress:Listeners:0:Name and so on")]
    [InlineData("--Ingress:RelayClients=192.0.2.1", "Ingress:RelayClients is '192.0.2.1', but it is no single value; Ingress:RelayClients is a list, its entries are Ingress:RelayClients:0 and so on")]
    [InlineData("--Ingress:MaxMesageBytes=1", "There is no setting 'Ingress:MaxMesageBytes'; Ingress has HostName, ")]
    [InlineData("--Queue:Foo=1", "There is no setting 'Queue:Foo'; Queue has ")]
    [InlineData("--Delivery:Timeouts:Dot=1", "There is no setting 'Delivery:Timeouts:Dot'; Delivery:Timeouts has Connect, ")]
    [InlineData("--Delivery:TlsDomains:x.y=Sometimes", "Delivery:TlsDomains:x.y is 'Sometimes'; it must be one of Opportunistic, None, Required, Verified, Dane, Sts, OpportunisticDane")]
    [InlineData("--Delivery:TlsDomains=x.y=Dane", "Delivery:TlsDomains has Dane, which needs a resolver that validates: Dns:Validating must be true")]
    [InlineData("--Delivery:Tls=Sts", "Delivery:Tls is Sts; it must be one of Opportunistic, None, Required, Verified")]
    [InlineData("--Delivery:TrustedRoots=/nowhere/roots.pem", "Delivery:TrustedRoots is '/nowhere/roots.pem'; it must be a PEM file")]
    [InlineData("--Delivery:Routes:x.y=:::", "Delivery:Routes:x.y is ':::'; it must be host, host:port or [address]:port")]
    // What is built on it would end the process in its own way.
    [InlineData("--Queue:SiloPort=0", "Queue:SiloPort is '0'; must be between 1 and 65535")]
    [InlineData("--Queue:SiloPort=99999", "Queue:SiloPort is '99999'; must be between 1 and 65535")]
    [InlineData("--Queue:RetrySteps:0=10000000.00:00:00", "Queue:RetrySteps:0 is 10000000.00:00:00; it must be 00:00:00.001 to 60.00:00:00")]
    [InlineData("--Telemetry:TraceRatio=7", "Telemetry:TraceRatio is '7'; must be between 0 and 1")]
    [InlineData("--Tls:CheckInterval=10000000.00:00:00", "Tls:CheckInterval is 10000000.00:00:00; it must be 00:00:00 to 1.00:00:00")]
    [InlineData("--Delivery:Timeouts:Mail=99.00:00:00", "Delivery:Timeouts:Mail is '99.00:00:00'; must be between 00:00:00.1000000 and 00:10:00")]
    [InlineData("--Delivery:Addresses=9", "Delivery:Addresses is '9'; it must be one of IPv4First")]
    [InlineData("--Tls:CertificatePath=/nowhere/a.pem", "Tls:CertificatePath")]
    [InlineData("--ConnectionStrings:rabbitmq=x", "ConnectionStrings:rabbitmq must be a URI")]
    [InlineData("--ConnectionStrings:maildb=x", "ConnectionStrings:maildb")]
    [InlineData("--ConnectionStrings:maildb=Data Source=/proc/nowhere/mail.db", "ConnectionStrings:maildb")]
    public Task A_bad_setting_is_named(string setting, string message) => ShouldNotStartAsync(message, setting);

    [Fact]
    public async Task A_folder_that_is_a_file_is_refused()
    {
        await File.WriteAllTextAsync(_run.DataFolder, "", TestContext.Current.CancellationToken);

        await ShouldNotStartAsync("--data is 'data'; it must be a folder this user can write");
    }

    [Fact]
    public async Task A_store_that_a_newer_program_has_made_its_own_is_refused()
    {
        await _run.MailAsync("domain", "add", "example.org");
        using (var database = new SqliteConnection($"Data Source={Path.Combine(_run.DataFolder, "mail.db")};Pooling=False"))
        {
            database.Open();
            using var command = database.CreateCommand();
            command.CommandText = "PRAGMA user_version = 999; INSERT INTO oldest_release (version) VALUES (999)";
            command.ExecuteNonQuery();
        }

        await ShouldNotStartAsync("The store has schema version 999");
        var result = await _run.MailAsync("domain", "list");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("999", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_settings_file_that_is_not_JSON_is_refused()
    {
        await File.WriteAllTextAsync(Path.Combine(_run.Folder, "appsettings.json"), "{ nonsense", TestContext.Current.CancellationToken);

        await ShouldNotStartAsync("appsettings.json");
    }

    [Fact]
    public async Task A_section_of_the_settings_file_that_there_is_not_is_refused()
    {
        await File.WriteAllTextAsync(
            Path.Combine(_run.Folder, "appsettings.json"), """{ "Storge": { "ClaimLease": "00:00:20" } }""", TestContext.Current.CancellationToken);

        await ShouldNotStartAsync("appsettings.json has a section 'Storge'; there are Ingress, Queue");
    }

    [Fact]
    public async Task The_tour_goes_all_the_way_and_leaves_nothing_behind()
    {
        await using var tour = ServerProcess.Start(_run.Folder, "demo");
        var result = await tour.EndAsync();

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("C: AUTH PLAIN ********", result.Output, StringComparison.Ordinal);
        Assert.Contains("C: PASS ********", result.Output, StringComparison.Ordinal);
        Assert.Contains("routed to <bob@beta.example>, by SMTP", result.Output, StringComparison.Ordinal);
        Assert.Contains("routed to <bob@beta.example>, a maildrop here", result.Output, StringComparison.Ordinal);
        Assert.Contains("S: .a line that begins with a dot", result.Output.Replace("S: ..", "S: .", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(_run.Folder, "mailpipeline-demo-*"));
    }

    private async Task ShouldNotStartAsync(string message, params string[] arguments)
    {
        await using var server = ServerProcess.Start(_run.Folder, [.. ServerProcess.PortSettings(), .. arguments]);
        var result = await server.EndAsync();

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', result.Error);
    }

    private static async Task<string> GetAsync(HttpClient client, string path) =>
        await client.GetStringAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
}
