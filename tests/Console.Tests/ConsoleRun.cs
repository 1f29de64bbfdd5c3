using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Console.Tests;

/// <summary>A Console on a store of its own, behind a real listener; time stands still but for who moves it.</summary>
internal sealed class ConsoleRun : IAsyncDisposable
{
    private readonly string _folder;
    private readonly WebApplication _app;

    private ConsoleRun(string folder, WebApplication app, FakeTimeProvider time, ClientAddress client)
    {
        (_folder, _app, Time, Client) = (folder, app, time, client);
        Addresses = [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];
        Http = Connect("");
    }

    public static OperatorIdentity By { get; } = new("ann", "mx.example.org");

    public FakeTimeProvider Time { get; }

    /// <summary>Where requests seem to come from.</summary>
    public ClientAddress Client { get; }

    public IReadOnlyList<string> Addresses { get; }

    /// <summary>Without a token.</summary>
    public HttpClient Http { get; }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="settings">KEY=VALUE each.</param>
    public static async Task<ConsoleRun> StartAsync(params string[] settings)
    {
        var folder = Directory.CreateTempSubdirectory("mailpipeline-console-").FullName;
        var time = new FakeTimeProvider(new DateTimeOffset(2030, 1, 2, 12, 0, 0, TimeSpan.Zero));
        var client = new ClientAddress();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["ConnectionStrings:maildb"] = $"Data Source={Path.Combine(folder, "mail.db")}", ["Http:Port"] = "0", ["Tls:SelfSignedDirectory"] = folder,
            ["Console:RequestsPerSecond"] = "10000", ["Console:RequestBurst"] = "10000", ["Logging:LogLevel:Default"] = "None",
        });
        builder.Configuration.AddInMemoryCollection(settings.Select(setting => setting.Split('=', 2)).Select(pair => KeyValuePair.Create(pair[0], (string?)pair[1])));
        builder.Services.AddSingleton<TimeProvider>(time);
        builder.Services.AddSingleton<IStartupFilter>(client);
        builder.AddServiceDefaults("console");
        builder.AddMailDatabase();
        builder.AddConsole();
        var app = builder.Build();
        app.MapServiceDefaults();
        app.MapConsole();
        await app.StartAsync(Cancellation);
        return new ConsoleRun(folder, app, time, client);
    }

    public T Get<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();

    /// <summary>A client with a token that is made for it.</summary>
    public async Task<HttpClient> LogInAsync(ApiScopes scopes = ApiScopes.Read | ApiScopes.Operate | ApiScopes.Administer | ApiScopes.Send, string of = "", string name = "")
    {
        var made = Assert.IsType<TokenMade>(await Get<ApiTokens>().MakeAsync(
            name.Length > 0 ? name : Guid.NewGuid().ToString("N"), scopes, of, null, By, Cancellation));
        return Connect(made.Secret);
    }

    public HttpClient Connect(string token)
    {
        var http = new HttpClient { BaseAddress = new Uri(Addresses[0] + "/api/v1/") };
        if (token.Length > 0)
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return http;
    }

    /// <summary>Domains with accounts of a password that is long enough.</summary>
    public async Task MakeAsync(params string[] accounts)
    {
        foreach (var account in accounts)
        {
            await Get<Domains>().AddAsync(account.Split('@')[1], By, Cancellation);
            Assert.IsType<AccountAdded>(await Get<Accounts>().AddAsync(account, "s3cret-words", By, Cancellation));
        }
    }

    /// <summary>Accepts and routes one message.</summary>
    public Task<string> QueueAsync(string sender, params string[] recipients) => RouteAsync(sender, [.. recipients.Select(recipient => ("", recipient))]);

    /// <summary>Accepts and routes one message, of whose recipients some were written otherwise.</summary>
    public async Task<string> RouteAsync(string sender, params (string Original, string Address)[] recipients)
    {
        var store = Get<MessageStore>();
        var id = await store.NextMessageIdAsync(Cancellation);
        var message = new Envelope(id, sender, [.. recipients.Select(recipient => recipient.Address)], 1, BodyType.SevenBit, Time.GetUtcNow(), "");
        await using (var content = store.CreateContent(id))
        {
            await content.AppendAsync("x"u8.ToArray(), Cancellation);
            await store.AcceptAsync(message, content, Cancellation);
        }
        await Get<QueueStore>().RouteAsync(
            [new RoutedMessage(message, [.. recipients.Select(one => new RoutedRecipient(one.Address, one.Original, one.Address.Split('@')[1].ToLowerInvariant(), RecipientRoute.Remote))]) { IsSearchable = true }]);
        return MessageIds.ToText(id);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>Gives each request the client address that a test says.</summary>
internal sealed class ClientAddress : IStartupFilter
{
    public IPAddress? Address { get; set; }

    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.Use((HttpContext context, RequestDelegate rest) =>
        {
            context.Connection.RemoteIpAddress = Address ?? context.Connection.RemoteIpAddress;
            return rest(context);
        });
        next(app);
    };
}

internal static class Requests
{
    /// <summary>Sends, and reads what is answered; a body that is none is null.</summary>
    public static async Task<(HttpStatusCode Status, JsonElement Body, HttpResponseMessage Response)> AskAsync(
        this HttpClient http, string request, object? body = null, params (string Name, string Value)[] fields)
    {
        var words = request.Split(' ', 2);
        using var message = new HttpRequestMessage(new HttpMethod(words[0]), words[1]);
        if (body is HttpContent content)
            message.Content = content;
        else if (body is not null)
            message.Content = JsonContent.Create(body);
        foreach (var (name, value) in fields)
            message.Headers.TryAddWithoutValidation(name, value);
        var response = await http.SendAsync(message, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        var isJson = response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.Ordinal) == true && !response.Content.Headers.ContentType.MediaType.Contains("nd", StringComparison.Ordinal);
        return (response.StatusCode, isJson ? JsonDocument.Parse(text).RootElement : default, response);
    }

    /// <summary>The name of the problem that is answered, and the field that it is about.</summary>
    public static async Task<string> ProblemAsync(this HttpClient http, string request, object? body = null, params (string Name, string Value)[] fields)
    {
        var (status, problem, response) = await http.AskAsync(request, body, fields);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal((int)status, problem.GetProperty("status").GetInt32());
        Assert.NotEqual("", problem.GetProperty("detail").GetString());
        var name = problem.GetProperty("type").GetString()!["urn:mailpipeline:problem:".Length..];
        return $"{(int)status} {name}{(problem.TryGetProperty("field", out var field) ? " " + field.GetString() : "")}";
    }

    /// <summary>A client of a listener whose certificate nobody has signed.</summary>
    public static HttpClient ConnectByTls(string address, string token = "")
    {
        var http = new HttpClient(new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, _, _, _) => true }) { BaseAddress = new Uri(address + "/api/v1/") };
        if (token.Length > 0)
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return http;
    }

    public static StringContent Text(string text, string type) => new(text, Encoding.UTF8, type);
}
