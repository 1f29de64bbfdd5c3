using System.Text;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Console.Access;
using MailPipeline.Mail;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace MailPipeline.Console.Api;

/// <param name="Line">From 1 on.</param>
/// <param name="Problem">The name of the problem; null: the account is made.</param>
internal sealed record ImportedLine(int Line, string Address, string? Problem, string? Detail);

/// <summary>
/// Many accounts in one request: a line each, as NDJSON or CSV. Each is made by itself, and has a line in the answer as soon as it is; who repeats all of it
/// makes those that are missing.
/// </summary>
internal static class AccountImport
{
    private const string Lines = "application/x-ndjson";
    private const string Csv = "text/csv";

    private const string Heading = "address,password";

    /// <summary>An address and a password are shorter.</summary>
    private const int MaxLine = 4096;

    /// <summary>Of one request; what has more is cut in several.</summary>
    private const int MaxLines = 10_000;

    // A password is hashed for each line, and logins want to be as well.
    private static readonly SemaphoreSlim s_one = new(1);

    public static void Map(RouteGroupBuilder accounts) => accounts.MapPost("/import", ImportAsync).RequireScope(ApiScopes.Administer)
        .WithSummary("Make many accounts: lines of {\"address\",\"password\"}, or of CSV with the heading 'address,password'; one import at a time, 10,000 lines each")
        .Accepts<string>(Lines, Csv).Produces<ImportedLine>(200, Lines).ProducesProblem(415).ProducesProblem(429);

    private static async Task ImportAsync(Accounts accounts, HttpContext context, IOptions<JsonOptions> json, CancellationToken cancellation)
    {
        var type = context.Request.GetTypedHeaders().ContentType?.MediaType.Value ?? "";
        var isCsv = string.Equals(type, Csv, StringComparison.OrdinalIgnoreCase);
        if (!isCsv && !string.Equals(type, Lines, StringComparison.OrdinalIgnoreCase))
        {
            await Problem.Of(StatusCodes.Status415UnsupportedMediaType, "badMediaType", $"The body is to be {Lines} or {Csv}").ExecuteAsync(context);
            return;
        }
        if (!await s_one.WaitAsync(TimeSpan.Zero, cancellation))
        {
            await Problem.Of(StatusCodes.Status429TooManyRequests, "importUnderWay", "Another import is being done; the next one comes when it has ended").ExecuteAsync(context);
            return;
        }
        try
        {
            await MakeAsync(isCsv, accounts, context, json, cancellation);
        }
        finally
        {
            s_one.Release();
        }
    }

    private static async Task MakeAsync(bool isCsv, Accounts accounts, HttpContext context, IOptions<JsonOptions> json, CancellationToken cancellation)
    {
        context.Response.ContentType = Lines;
        var options = json.Value.SerializerOptions;
        using var reader = new BodyLines(context.Request.BodyReader.AsStream(leaveOpen: true), MaxLine);
        var number = 0;
        while (await reader.ReadAsync(cancellation) is { } line)
        {
            number++;
            if (number > MaxLines)
            {
                await WriteAsync(new ImportedLine(number, "", "tooManyLines", $"There are more than {MaxLines}; this one and those behind it are left out"));
                return;
            }
            if (isCsv && number == 1)
            {
                if (line.Text == Heading)
                    continue;
                await WriteAsync(new ImportedLine(number, "", "badLine", $"The first line is to be {Heading}; nothing is made"));
                return;
            }
            if (line is not { Text.Length: 0, Fault: BodyLineFault.None })
                await WriteAsync(await TakeAsync(number, line));
        }

        async Task<ImportedLine> TakeAsync(int at, BodyLine line)
        {
            if (line.Fault != BodyLineFault.None)
                return new ImportedLine(at, "", "badLine", line.Fault == BodyLineFault.TooLong ? $"It has more than {MaxLine} octets" : "It is no UTF-8");
            var wanted = isCsv ? OfCsv(line.Text) : OfJson(line.Text, options);
            if (wanted is not { Address: not null, Password: not null })
                return new ImportedLine(at, "", "badLine", isCsv ? "It is to be address,password" : "It is to be {\"address\":\"...\",\"password\":\"...\"}");
            return await DirectoryRoutes.AddAccountAsync(wanted, accounts, context, cancellation) is ProblemHttpResult { ProblemDetails: var problem }
                ? new ImportedLine(at, wanted.Address, problem.Type?[Problem.TypePrefix.Length..], problem.Detail)
                : new ImportedLine(at, wanted.Address, null, null);
        }

        async Task WriteAsync(ImportedLine one)
        {
            await context.Response.Body.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(one, options), cancellation);
            await context.Response.Body.WriteAsync("\n"u8.ToArray(), cancellation);
            await context.Response.Body.FlushAsync(cancellation);
        }
    }

    private static NewAccount? OfJson(string line, JsonSerializerOptions options)
    {
        try
        {
            return JsonSerializer.Deserialize<NewAccount>(line, options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // RFC 4180: a field that is quoted has each of its quotes twice. An address has no comma unless it is quoted.
    private static NewAccount? OfCsv(string line)
    {
        var fields = new List<string>();
        for (var at = 0; at <= line.Length;)
        {
            var field = new StringBuilder();
            if (at < line.Length && line[at] == '"')
            {
                for (at++; at < line.Length; at++)
                {
                    if (line[at] != '"')
                        field.Append(line[at]);
                    else if (at + 1 < line.Length && line[at + 1] == '"')
                        field.Append(line[at++]);
                    else
                        break;
                }
                if (at >= line.Length || ++at < line.Length && line[at] != ',')
                    return null;
            }
            else
            {
                var end = line.IndexOf(',', at);
                field.Append(line.AsSpan(at, (end < 0 ? line.Length : end) - at));
                at = end < 0 ? line.Length : end;
            }
            fields.Add(field.ToString());
            at++;
        }
        return fields is [var address, var password] ? new NewAccount(address, password) : null;
    }
}
